"""What a model of timm does without once it is not trained any more: normalisation, and padding by a rule.

Convolutions with batch normalisation behind them are found by running the model: timm names them in many ways.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Those that convolve with their weight as it is; others, as StdConv2d, change it first.
_PLAIN = ("Conv2d", "Conv2dSame")


@torch.no_grad()
def fuse_pairs(body: nn.Module, run: Callable[[], Iterable[Tensor]]) -> int:
    """Fold batch normalisation into the convolutions before it, in place.

    Args:
        body: In eval mode.
        run: What gives its outputs, of an input that requires a gradient.

    Returns:
        How many convolutions took one in.
    """
    pairs = _find_pairs(body, run)
    names = {module: name for name, module in body.named_modules()}
    for conv, norm in pairs:
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None  # or it would not be in eval mode
        scale = (variance + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight)
        shift = 0 if norm.bias is None else norm.bias
        bias = 0 if conv.bias is None else conv.bias
        conv.bias = nn.Parameter(shift + (bias - mean) * scale)
        conv.weight *= scale.view(-1, 1, 1, 1)
        parent, _, name = names[norm].rpartition(".")
        # timm's have the activation inside.
        after = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
        setattr(body.get_submodule(parent), name, nn.Sequential(*after))
    return len(pairs)


@torch.no_grad()
def fix_padding(body: nn.Module) -> None:
    """Let convolutions that pad as TensorFlow does pad by numbers in place of a rule, which graphs are slow at.

    It is the same where the sides of their input are multiples of their stride, as the sides that a
    backbone asks for make them.
    """
    for parent in list(body.modules()):
        for name, conv in list(parent.named_children()):
            if type(conv).__name__ != "Conv2dSame" or not isinstance(conv, nn.Conv2d):
                continue
            spans = [d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
            lacks = [max(span - step, 0) for span, step in zip(spans, conv.stride, strict=True)]
            plain = nn.Conv2d(
                conv.in_channels,
                conv.out_channels,
                (conv.kernel_size[0], conv.kernel_size[1]),
                stride=(conv.stride[0], conv.stride[1]),
                dilation=(conv.dilation[0], conv.dilation[1]),
                groups=conv.groups,
            )
            plain.weight, plain.bias = conv.weight, conv.bias
            high, wide = lacks
            sides = (wide // 2, wide - wide // 2, high // 2, high - high // 2)
            setattr(parent, name, nn.Sequential(nn.ZeroPad2d(sides), plain))


def _find_pairs(
    body: nn.Module, run: Callable[[], Iterable[Tensor]]
) -> list[tuple[nn.Conv2d, _BatchNorm]]:
    """Return each convolution whose output goes into one normalisation, and nowhere else."""
    convolved: dict[Any, nn.Conv2d] = {}
    normalised: list[tuple[Any, _BatchNorm]] = []

    def note_conv(conv: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        convolved[output.grad_fn] = conv

    def note_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        normalised.append((inputs[0].grad_fn, norm))

    hooks = []
    for module in body.modules():
        if type(module).__name__ in _PLAIN and isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note_conv))
        elif isinstance(module, _BatchNorm) and not module.training:
            hooks.append(module.register_forward_pre_hook(note_norm))
    try:
        with torch.enable_grad():
            uses = _uses(run())
    finally:
        for hook in hooks:
            hook.remove()
    # A module that ran twice is in two places.
    runs = Counter([*convolved.values(), *(norm for _, norm in normalised)])
    return [
        (convolved[node], norm)
        for node, norm in normalised
        if node in convolved and uses[node] == 1 and runs[norm] == runs[convolved[node]] == 1
    ]


def _uses(outputs: Iterable[Tensor]) -> Counter[Any]:
    """Count how often each step of a computation is used, by what autograd notes of it."""
    waiting: list[Any] = [output.grad_fn for output in outputs]
    uses, seen = Counter(waiting), set(waiting)
    while waiting:
        node = waiting.pop()
        for before, _ in node.next_functions if node else ():
            uses[before] += 1
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return uses
