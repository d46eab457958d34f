"""SOLO: every cell has a channel of its own in the mask branch.

Legend: N images, S cells per side, P chosen cells, h, w feature size of a level.
"""

from collections.abc import Callable, Sequence

from detectron2.config import configurable
from torch import Tensor, nn

from solo.config.choices import Collisions
from solo.layers.masks import probabilities_and_logits, resize_soft_masks, to_probabilities
from solo.layers.transfer import to_device
from solo.modeling.heads.base import (
    SOLO_HEAD_REGISTRY,
    Head,
    HeadOutputs,
    resize,
)
from solo.modeling.heads.head_config import HeadConfig
from solo.modeling.heads.predictors import Predictor, Predictors

Features = list[Sequence[Tensor]]
"""Per level and image, the (C, h, w) that masks are decoded from."""


@SOLO_HEAD_REGISTRY.register()
class SOLOHead(Head[Features]):
    """Category branch and mask branch, which has S * S output channels per level.

    The output channels are never computed all: `soft_masks` convolves with the rows of the chosen
    cells only, before the doubling of the size instead of after it. The two are linear and each
    output pixel's weights add up to one, so their order does not matter.

    Source:
        SOLO section 3.2.
    """

    default_collisions = Collisions.LAST
    has_quality_branch = True
    reads_levels_only = True

    @configurable
    def __init__(self, config: HeadConfig) -> None:
        """Build the branches."""
        super().__init__(config)
        self.mask_tower = self._tower("xy")
        self.category_predictor = self._category_predictor()
        self.mask_predictors = Predictors(
            self._predictor(side * side, kernel_size=1) for side in self.grids.sides
        )
        self.quality_predictor = self._quality_predictor()

    @property
    def level_parameters(self) -> list[nn.Parameter]:
        """The mask predictors; see `Head.level_parameters`."""
        return list(self.mask_predictors.parameters())

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """The category predictor; see `Head.category_parameters`."""
        return list(self.category_predictor.parameters())

    def forward(self, features: dict[str, Tensor]) -> HeadOutputs[Features]:
        """Run the branches; see `Head.forward`."""
        category_logits: list[Tensor] = []
        quality_logits: list[Tensor] = []
        mask_features: Features = []
        for feature, side in zip(self.level_features(features), self.grids.sides, strict=True):
            grid = resize(feature, (side, side))
            cells = self.category_tower(grid)
            category_logits.append(self.category_predictor(cells))
            # The only tower on the grid: that of the masks has no features of a cell.
            quality_logits += self._quality_logits(cells)
            # One by one: the gradient of an index would be as large as that of all images.
            mask_features.append(self.mask_tower(feature).unbind())
        return HeadOutputs(category_logits, mask_features, quality_logits)

    def soft_masks(
        self, masks: Features, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Decode the masks of chosen cells; see `Head.soft_masks`."""

        def decode(level: int, local: Tensor) -> tuple[Tensor, ...]:
            feature, predictor = masks[level][image], self.mask_predictors.of(level)
            part = self.decode(feature, predictor, to_device(local, feature.device))
            return (resize_soft_masks(part, size) if size else part,)

        return self._by_level(cells, decode, size, finest=masks[0][0])[0]

    def soft_masks_and_logits(
        self, masks: Features, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode the masks of chosen cells; see `Head.soft_masks_and_logits`."""

        def decode(level: int, local: Tensor) -> tuple[Tensor, ...]:
            parts = probabilities_and_logits(self._logits(masks, image, level, local))
            return tuple(resize_soft_masks(part, size) if size else part for part in parts)

        soft, logits = self._by_level(cells, decode, size, finest=masks[0][0])
        return soft, logits

    def logit_decoder(
        self, masks: Features, image: int
    ) -> Callable[[Tensor], tuple[Tensor]] | None:
        """Return what decodes logits; see `Head.logit_decoder`."""

        def decode(level: int, local: Tensor) -> tuple[Tensor, ...]:
            return (self._logits(masks, image, level, local),)

        return lambda cells: (self._by_level(cells, decode, None, finest=masks[0][0])[0],)

    def _logits(self, masks: Features, image: int, level: int, local: Tensor) -> Tensor:
        """Return the (P, 2h, 2w) logits of cells of a level."""
        feature, predictor = masks[level][image], self.mask_predictors.of(level)
        return self.decode_logits(feature, predictor, to_device(local, feature.device))[0]

    @classmethod
    def decode(cls, feature: Tensor, predictor: Predictor, cells: Tensor) -> Tensor:
        """Turn the feature of one level, (C, h, w), into (P, 2h, 2w) probabilities."""
        return to_probabilities(cls.decode_logits(feature, predictor, cells))[0]

    @staticmethod
    def decode_logits(feature: Tensor, predictor: Predictor, cells: Tensor) -> Tensor:
        """Turn the feature of one level, (C, h, w), into (1, P, 2h, 2w) logits."""
        height, width = feature.shape[-2:]
        logits = predictor.weight[cells].flatten(1) @ feature.flatten(1)
        logits = (logits + predictor.bias[cells, None]).view(1, -1, height, width)
        return resize(logits, (2 * height, 2 * width))
