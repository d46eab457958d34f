"""What a head is: a branch network, and the way a chosen cell becomes a soft mask.

Legend: N images, K classes, S cells per side, P chosen cells, H, W soft mask size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.utils.registry import Registry
from torch import Tensor, nn
from torch.nn import functional as F

from solo.config.choices import CategoryLoss, Collisions
from solo.errors import UserError
from solo.layers.conv import Tower, conv_tower
from solo.layers.coordinates import Encoding
from solo.layers.transfer import to_device
from solo.modeling.grids import Grids
from solo.modeling.heads.head_config import HeadConfig, wants_quality
from solo.modeling.heads.predictors import Predictor, SoftmaxPredictor

SOLO_HEAD_REGISTRY = Registry("SOLO_HEAD")
SOLO_HEAD_REGISTRY.__doc__ = """Heads by name, for MODEL.SOLO.HEAD.

A head is made by `Head(cfg, input_shape)`, input_shape being the backbone's dict of ShapeSpec.
"""

M = TypeVar("M")


@dataclass(frozen=True)
class HeadOutputs(Generic[M]):
    """What a head makes of the features of a batch.

    Attributes:
        category_logits: Per level, (N, K, S, S).
        masks: The head's own: all that `soft_masks` needs.
        quality_logits: Per level, (N, 1, S, S): how well the mask of each cell fits. Empty without such a branch.
        semantic: (N, K, h, w) logits of each pixel, of a head that has a `semantic_stride`, in training.
    """

    category_logits: list[Tensor]
    masks: M
    quality_logits: list[Tensor] = field(default_factory=list)
    semantic: Tensor | None = None

    @property
    def cell_logits(self) -> tuple[list[Tensor], list[Tensor]]:
        """What the probabilities of cells come from, at test; see `PostProcessor.probabilities`."""
        return self.category_logits, self.quality_logits


class Head(nn.Module, ABC, Generic[M]):
    """Base of the heads; M is what a head decodes masks from.

    Attributes:
        default_collisions: The policy of the official code for cells that several instances claim.
        grids: The cells of all levels.
        strides: Per level, pixels of the input per pixel of the features that the head sees.
        training_only: Names of modules that only training runs, whether this head has them or not: weights
            come and go without them.
        may_start_fresh: Names of modules, whether this head has them or not, that a training begins without if the
            weights that it begins from have none, each with the key that asks for it. An evaluation needs them.
        has_quality_branch: Whether `_quality_predictor` is called.
        reads_levels_only: Whether `level_features` is all that is read of the backbone: what it would halve may come
            halved then.
        quality_predictor: From a tower on the cells to how well their masks fit; None: not asked for.
    """

    default_collisions: Collisions
    training_only: tuple[str, ...] = ()
    may_start_fresh: Mapping[str, str] = {"quality_predictor": "MODEL.SOLO.QUALITY.ENABLED"}
    has_quality_branch = False
    reads_levels_only = False
    quality_predictor: Predictor | None

    def __init__(self, config: HeadConfig) -> None:
        """Build the category tower."""
        super().__init__()
        self.config = config
        self.in_features = tuple(config.in_features)
        self.strides = tuple(config.strides)
        self.grids = Grids(config.num_grids)
        self.category_tower = self._tower()
        self.quality_predictor = None

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        """Return the arguments of the constructor; for what it raises see :meth:`check_keys`."""
        cls.check_keys(cfg)
        return {"config": HeadConfig.from_config(cfg, input_shape)}

    @classmethod
    def check_keys(cls, cfg: CfgNode) -> None:
        """Raise a UserError at a key that makes no sense, or if the head is asked for a branch that it has not."""
        node = cfg.MODEL.SOLO
        Encoding(node.COORDINATES, node.COORDINATE_OCTAVES)
        if wants_quality(node) and not cls.has_quality_branch:
            raise UserError(
                f"{cls.__name__} does not say how well masks fit: set MODEL.SOLO.QUALITY.ENABLED to False."
            )

    def _tower(self, coordinates: str = "", *, more_channels: int = 0) -> Tower:
        """Build a tower on the features; coordinates that it does not append itself are more channels."""
        config = self.config
        return conv_tower(
            config.in_channels + more_channels,
            config.conv_dim,
            num_convs=config.num_convs,
            norm=config.norm,
            deform=config.deform,
            coordinates=coordinates,
            encoding=config.encoding,
            recompute=config.recompute,
        )

    def _predictor(self, channels: int, kernel_size: int = 3) -> Predictor:
        """Build a convolution from a tower to logits."""
        return Predictor(self.config.conv_dim, channels, kernel_size, self.config.prior_prob)

    def _category_predictor(self) -> Predictor:
        """Build the convolution from the category tower to what LOSS.CATEGORY takes."""
        config = self.config
        if config.category == CategoryLoss.SOFTMAX:
            return SoftmaxPredictor(config.conv_dim, config.num_classes, 3, config.prior_prob)
        return self._predictor(config.num_classes)

    def _quality_predictor(self) -> Predictor | None:
        """Build the quality predictor, if asked for: last, so that all else starts as it does without it."""
        return Predictor(self.config.conv_dim, 1, 3, 0.5) if self.config.quality else None

    def _quality_logits(self, cells: Tensor) -> list[Tensor]:
        """Return what a level adds to `HeadOutputs.quality_logits`, of (N, C, S, S) features of a tower."""
        return [self.quality_predictor(cells)] if self.quality_predictor else []

    @property
    def features_read(self) -> set[str]:
        """Names of the features that the head looks at."""
        return set(self.in_features)

    @property
    def mask_strides(self) -> tuple[int, ...]:
        """Per level, the stride of the soft masks in training: twice the size of the features."""
        return tuple(stride // 2 for stride in self.strides)

    @property
    def semantic_stride(self) -> int:
        """Pixels of the input per pixel of `HeadOutputs.semantic`; 0: there is none."""
        return 0

    @property
    def level_parameters(self) -> list[nn.Parameter]:
        """What a level with no positive cell gives no gradient to: predictors of its own."""
        return []

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """What has a row per class, in the order of the classes, and of the background after them, if any.

        A training that begins from a model of other classes takes these rows over by the names of the
        classes; of a head that declares none it takes over nothing but the same number of classes.
        """
        return []

    def take_up(self, weights: dict[str, Tensor]) -> None:
        """Bring weights of a plainer head, by their names in the head, to the shapes of this one, in place.

        What this one finds with them is the same at first: a convolution that sees more of where a pixel is than x
        and y begins with zeros for it.
        """
        encoding = self.config.encoding
        more = {encoding.channels(axes) - len(axes) for axes in ("x", "xy")} - {0}
        for name, own in self.named_parameters():
            given = weights.get(name)
            if given is None or given.ndim != 4 or given.shape[0] != own.shape[0]:
                continue
            if (added := own.shape[1] - given.shape[1]) in more:
                weights[name] = F.pad(given, (0, 0, 0, 0, 0, added))

    @abstractmethod
    def forward(self, features: dict[str, Tensor]) -> HeadOutputs[M]:
        """Run the branches on the features of the backbone."""

    @abstractmethod
    def soft_masks(
        self, masks: M, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Decode the masks of chosen cells of one image, differentiably, and of no others.

        Args:
            masks: `HeadOutputs.masks`.
            image: Index in the batch.
            cells: (P,) cell numbers, on the CPU. Without a `size`, all of levels that share a mask
                stride.
            size: (H, W) to resize to; by default the padded input divided by the mask stride.

        Returns:
            (P, H, W) float32 probabilities.
        """

    def soft_masks_and_logits(
        self, masks: M, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode as `soft_masks` does, and return the logits, too: they teach where probabilities are 0 or 1.

        Those of a head that does not override this come from its probabilities, and teach nothing there.

        Returns:
            (P, H, W) float32 probabilities, equal to those of `soft_masks`, and (P, H, W) float32 logits. To a
            `size` each of the two is resized on its own.
        """
        soft = self.soft_masks(masks, image, cells, size)
        return soft, soft.logit(eps=1e-7)

    def decoder(
        self, masks: M, image: int, size: tuple[int, int] | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Return `soft_masks` of one image, a function of the cells, to be called several times.

        A head may let it remember what its calls share.
        """
        return partial(self.soft_masks, masks, image, size=size)

    def __init_subclass__(cls) -> None:
        """Leave what the class above says of itself to it, where this one does things in a way of its own."""
        own = vars(cls).keys()
        if own & {"forward", "level_features"} and "reads_levels_only" not in own:
            cls.reads_levels_only = False
        if own & {"soft_masks", "decoder", "decode"} and "logit_decoder" not in own:
            cls.logit_decoder = Head.logit_decoder  # type: ignore[method-assign]

    def logit_decoder(self, masks: M, image: int) -> Callable[[Tensor], tuple[Tensor]] | None:
        """Return what decodes the logits of the masks of cells, (P, H, W) of any type; None: there are none.

        Their sigmoids are the `soft_masks` without a `size`: for a loss that needs no tensor of these.
        """
        return None

    def _by_level(
        self,
        cells: Tensor,
        decode: Callable[[int, Tensor], tuple[Tensor, ...]],
        size: tuple[int, int] | None,
        finest: Tensor,
    ) -> tuple[Tensor, ...]:
        """Decode the soft masks of cells level by level, and put them into the order of the cells.

        Args:
            cells: (P,) cell numbers, on the CPU.
            decode: Turns a level and (p,) numbers of its cells into (p, H, W), and more of that shape.
            size: (H, W); by default twice that of `finest`.
            finest: (C, h, w) feature of the finest level.
        """
        levels = list(self.grids.by_level(cells))
        if not levels:
            height, width = finest.shape[-2:]
            none = torch.zeros((0, *(size or (2 * height, 2 * width))), device=finest.device)
            return none, none
        parts = [decode(level, local) for level, _, local in levels]
        if len(parts) == 1:
            return parts[0]
        order = torch.cat([positions for _, positions, _ in levels]).argsort()
        order = to_device(order, finest.device)
        return tuple(torch.cat(kind)[order] for kind in zip(*parts, strict=True))

    def level_features(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Return the feature of each level, resized to the level's stride."""
        in_strides = self.config.in_strides
        first = features[self.in_features[0]]
        height, width = (side * in_strides[0] for side in first.shape[-2:])
        levels = []
        for name, in_stride, stride in zip(self.in_features, in_strides, self.strides, strict=True):
            feature = features[name]
            if in_stride != stride:
                feature = resize(feature, (height // stride, width // stride))
            levels.append(feature)
        return levels


def resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, h, w) bilinearly to (N, C, H, W), corners not aligned, as all SOLO code does."""
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)
