"""Candidates at will: what a head's last layers give is exchanged for objects that are made up.

Masks of random weights are noise, or empty; what is measured with them is neither the cost of masks in
practice nor the same from one head to the next.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import cycle
from typing import Any, NamedTuple

import torch
from head_outputs import category_logits, object_features, picks, profiles
from torch import Tensor, nn

from solo.benchmark.sizes import INPUT, ORIGINAL, Size
from solo.benchmark.synthetic import noise_image
from solo.errors import UserError
from solo.modeling import SOLO
from solo.modeling.heads import Head, HeadOutputs, SOLOHead, SOLOv2Head
from solo.modeling.heads.decoupled import DecoupledSOLOHead, DecoupledSOLOLightHead


class Workload(NamedTuple):
    """How much there is to do.

    Attributes:
        size: Of the network's input, before padding.
        original: Of the image that masks are brought to.
        images: Of a training batch.
        objects: Of a training image.
        candidates: (cell, class) of an image that pass the score threshold. None: as many as the
            weights make of it.
        filling: Whether the masks that are found fill the image instead of being of ordinary sizes.
    """

    size: Size = INPUT
    original: Size = ORIGINAL
    images: int = 1
    objects: int = 20
    candidates: int | None = 100
    filling: bool = False


@contextmanager
def made_up_candidates(model: SOLO, workload: Workload) -> Iterator[None]:
    """Let the head find exactly `workload.candidates`, with compact masks, while the body runs.

    The layers that decode masks get weights that fit; they keep them. Of heads that come from elsewhere
    the masks stay what they are.

    Args:
        model: With the head.
        workload: If `candidates` is None, nothing is made up.

    Raises:
        UserError: If the head has no room for so many candidates, or its kernels are larger than 1 x 1.
    """
    if workload.candidates is None:
        yield
        return
    head = model.head
    logits = category_logits(head.grids.sides, model.assigner.num_classes, workload.candidates)
    logits = [level.to(model.device) for level in logits]

    def exchange(module: nn.Module, inputs: Any, outputs: HeadOutputs) -> HeadOutputs:
        # Without a quality, which would lower the probabilities.
        return replace(outputs, category_logits=list(logits), quality_logits=[])

    with ExitStack() as stack:
        hooks = [head.register_forward_hook(exchange), *_make_masks(head, workload.filling)]
        for hook in hooks:
            stack.callback(hook.remove)
        yield


@torch.no_grad()
def run_network(model: SOLO, workload: Workload) -> tuple[Size, HeadOutputs]:
    """Return the size of the padded input, and the outputs of the head for one image."""
    image = noise_image(workload.size, torch.Generator().manual_seed(0))
    images = model.preprocess([{"image": image}]).tensor
    with made_up_candidates(model, workload):
        outputs = model.run_network(images)
    height, width = images.shape[-2:]
    return (height, width), outputs


def made_up_kernels(side: int, channels: int) -> Tensor:
    """Return SOLOv2's kernels of a level, (1, E, S, S), that pick objects of its mask feature."""
    return (
        picks(side * side, range(channels), channels, seed=side).t().view(1, channels, side, side)
    )


def _make_masks(head: Head, filling: bool) -> list[Any]:
    """Register the hooks that exchange what masks are decoded from."""
    if isinstance(head, SOLOv2Head):
        return _make_dynamic_masks(head, filling)
    with torch.no_grad():
        if isinstance(head, SOLOHead):
            _set_picks(head.mask_predictors, 0, 1)
            return [_exchange(head.mask_tower, _per_level(head, object_features, filling))]
        if isinstance(head, DecoupledSOLOHead | DecoupledSOLOLightHead):
            # Channels of the first half have the columns, those of the second the rows.
            _set_picks(head.mask_predictors_x, 0, 0.5)
            _set_picks(head.mask_predictors_y, 0.5, 1)
            towers = [part for name, part in head.named_children() if name.startswith("mask_tower")]
            return [_exchange(tower, _per_level(head, profiles, filling)) for tower in towers]
    return []


def _make_dynamic_masks(head: SOLOv2Head, filling: bool) -> list[Any]:
    stride = head.mask_strides[0]

    def kernels(shape: torch.Size) -> Tensor:
        return made_up_kernels(shape[-1], shape[1])

    def feature(shape: torch.Size) -> Tensor:
        if shape[1] != head.kernel_predictor.out_channels:
            raise UserError("Candidates can be made up for MODEL.SOLO.KERNEL_SIZE 1 only.")
        return object_features(shape[1], tuple(shape[-2:]), stride, filling=filling)

    return [_exchange(head.kernel_predictor, kernels), _exchange(head.mask_feature, feature)]


def _set_picks(predictors: nn.ModuleList, begin: float, end: float) -> None:
    """Let convolutions pick, in the middle of their kernels, channels of a part of the feature."""
    for predictor in predictors:
        count, channels, size, _ = predictor.weight.shape
        choice = range(int(begin * channels), int(end * channels))
        predictor.weight.zero_()
        predictor.weight[:, :, size // 2, size // 2] = picks(
            count, choice, channels, seed=count
        ).to(predictor.weight)
        predictor.bias.zero_()


def _per_level(
    head: Head, make: Callable[..., Tensor], filling: bool
) -> Callable[[torch.Size], Tensor]:
    """Return what makes the feature of one level after the other, as the head calls its towers."""
    strides = cycle(head.strides)
    return lambda shape: make(shape[1], tuple(shape[-2:]), next(strides), filling=filling)


def _exchange(module: nn.Module, make: Callable[[torch.Size], Tensor]) -> Any:
    """Exchange the output of a module for one of the same shape and layout.

    What was made is kept for the next time: making it must not count.
    """
    kept: dict[Any, Tensor] = {}

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        key = (output.shape, output.dtype, output.stride())
        if key not in kept:
            kept[key] = torch.empty_like(output).copy_(make(output.shape).expand_as(output))
        return kept[key]

    return module.register_forward_hook(hook)
