"""A model of timm as a backbone of detectron2; this file needs no timm.

timm tells of each model where its features are (`feature_info`), and gives them (`forward_intermediates`).
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from detectron2.modeling import Backbone
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from solo.errors import UserError
from solo.modeling.backbones.for_inference import fix_padding, fuse_pairs

logger = logging.getLogger(__name__)


class TimmName(NamedTuple):
    """Which model of timm this is, and what its weights were trained to see.

    Attributes:
        name: Of timm, with the tag of its weights or without.
        tensors: Names of all that a file of its weights holds, in order, of parts that a backbone lacks, too.
        mean: Per channel of RGB, in [0, 1].
        std: Per channel.
    """

    name: str
    tensors: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class TimmBackbone(Backbone):
    """Features of a model of timm, (N, C, H / stride, W / stride), named res2 for a stride of 4 and so on."""

    def __init__(
        self,
        body: Any,
        indices: Sequence[int],
        *,
        name: TimmName,
        freeze_at: int = 0,
        freeze_norm: bool = False,
        windowed: bool = False,
    ) -> None:
        """Take a model apart from its classifier and all that comes after the last feature.

        Args:
            body: A model of timm.
            indices: Of its features: one a stride, in ascending order.
            name: What is known of it.
            freeze_at: What training leaves as it is: 0 nothing, 1 the stem, and k >= 2 all up to the
                feature of stride 2 ** k.
            freeze_norm: Whether batch normalisation keeps its statistics, weights and biases.
            windowed: Whether how it computes depends on the size of the image, so that a graph is of one size.

        Raises:
            UserError: If the model has no stage to freeze up to.
        """
        super().__init__()
        self.of_timm, self.windowed = name, windowed
        info = body.feature_info
        shapes = [(info[index]["num_chs"], info[index]["reduction"]) for index in indices]
        self._out_features = [f"res{int(math.log2(stride))}" for _, stride in shapes]
        self._out_feature_channels = {
            name: channels for name, (channels, _) in zip(self._out_features, shapes, strict=True)
        }
        self._out_feature_strides = {
            name: stride for name, (_, stride) in zip(self._out_features, shapes, strict=True)
        }
        self._frozen = _first_modules(body, freeze_at, name.name)
        if freeze_norm:
            self._frozen += [part for part in body.modules() if isinstance(part, _BatchNorm)]
        for part in self._frozen:
            for parameter in part.parameters(recurse=False):
                parameter.requires_grad_(False)
        self._indices = body.prune_intermediate_layers(list(indices), prune_norm=True)
        self._in_channels = body.in_chans
        self.body = body
        self.norms = nn.ModuleDict()

    def normalise(self, norm: Callable[[int], nn.Module]) -> None:
        """Let each feature go through a normalisation of its own at last."""
        for name, channels in self._out_feature_channels.items():
            self.norms[name] = norm(channels)

    @property
    def size_divisibility(self) -> int:
        """What the sides of an image have to be multiples of."""
        return max(self._out_feature_strides.values())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of (N, C, H, W) images, by name."""
        features = self.body.forward_intermediates(
            images, indices=self._indices, output_fmt="NCHW", intermediates_only=True
        )
        named = dict(zip(self._out_features, features, strict=True))
        return named | {name: norm(named[name]) for name, norm in self.norms.items()}

    def train(self, mode: bool = True) -> "TimmBackbone":
        """Set the mode; what is frozen stays in eval mode."""
        super().train(mode)
        for part in self._frozen:
            part.training = False
        return self

    def recompute(self) -> None:
        """Keep the inputs of blocks or stages only, unless normalisation would gather statistics twice."""
        frozen = set(self._frozen)
        if not all(part in frozen for part in self.modules() if isinstance(part, _BatchNorm)):
            return
        try:
            self.body.set_grad_checkpointing(True)
        except AssertionError:  # timm's way to say that a kind of model, as CSPDarknet, cannot
            logger.warning("This backbone of timm keeps all features: RECOMPUTE is without effect.")

    def fuse_batch_norm(self) -> None:
        """Fold batch normalisation, in eval mode, into the convolutions before it, and pad by numbers."""
        weight = next(self.body.parameters())
        side = 2 * self.size_divisibility
        image = weight.new_zeros(1, self._in_channels, side, side).requires_grad_()
        fuse_pairs(self.body, lambda: self(image).values())
        fix_padding(self.body)


def _first_modules(body: Any, freeze_at: int, name: str) -> list[nn.Module]:
    """Return what comes up to a stage; a model registers its parts in the order that they run in."""
    if not freeze_at:
        return []
    info = [one for one in body.feature_info if one["reduction"] >= 4]
    stages = info[:1] if freeze_at == 1 else [o for o in info if o["reduction"] <= 2**freeze_at]
    if freeze_at < 0 or not stages:
        strides = ", ".join(str(one["reduction"]) for one in info)
        raise UserError(
            f"MODEL.TIMM.FREEZE_AT is {freeze_at}, and {name} has features of the strides {strides}: give 0 for "
            "nothing, 1 for the stem, 2 for all up to stride 4, 3 up to stride 8, and so on."
        )
    stage = stages[-1]["module"]
    modules = dict(body.named_modules())
    inside = [place for place, key in enumerate(modules) if f"{key}.".startswith(f"{stage}.")]
    end = inside[0] if freeze_at == 1 else inside[-1] + 1
    # Those around the stage hold what is not frozen, too.
    return [
        part for key, part in list(modules.items())[:end] if key and not stage.startswith(f"{key}.")
    ]
