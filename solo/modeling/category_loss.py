"""What the category logits of a batch are compared by, and divided by.

Legend: N images, C cells of all levels, K classes, S cells per side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from detectron2.config import CfgNode
from torch import Tensor

from solo.config.choices import CategoryLoss, CategoryNormalizer, LearntFrom, choose
from solo.errors import UserError
from solo.modeling.losses import focal_loss, softmax_loss
from solo.modeling.normalisers import Normalisers
from solo.modeling.quality_losses import quality_branch_loss, quality_focal_loss, varifocal_loss
from solo.modeling.rank_sort import rank_sort_loss

_OF_QUALITY = (CategoryLoss.QUALITY_FOCAL, CategoryLoss.VARIFOCAL, CategoryLoss.RANK_SORT)


@dataclass(frozen=True)
class CategoryRule:
    """The category loss.

    Attributes:
        loss: Of each class, or over the classes and the background.
        normalizer: What is added to the positive cells: one, or the number of images.
        alpha: Weight of a positive (cell, class), as the losses that have one take it.
        gamma: Exponent of the focusing, likewise.
    """

    loss: CategoryLoss = CategoryLoss.FOCAL
    normalizer: CategoryNormalizer = CategoryNormalizer.POSITIVES
    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        """Refuse words that mean nothing."""
        choose(CategoryLoss, self.loss, "MODEL.SOLO.LOSS.CATEGORY")
        choose(CategoryNormalizer, self.normalizer, "MODEL.SOLO.LOSS.CATEGORY_NORMALIZER")

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CategoryRule":
        """Read MODEL.SOLO.LOSS.

        Raises:
            UserError: If the loss looks at masks where there are boxes alone.
        """
        node = cfg.MODEL.SOLO.LOSS
        rule = cls(node.CATEGORY, node.CATEGORY_NORMALIZER, node.FOCAL_ALPHA, node.FOCAL_GAMMA)
        if rule.wants_quality and node.SUPERVISION == LearntFrom.BOX:
            raise UserError(
                f"MODEL.SOLO.LOSS.CATEGORY {node.CATEGORY!r} asks how well masks fit those that were annotated, "
                'which MODEL.SOLO.LOSS.SUPERVISION "box" does not look at: change one of the two.'
            )
        return rule

    @property
    def wants_quality(self) -> bool:
        """Whether the loss looks at the quality of masks."""
        return self.loss in _OF_QUALITY

    def terms(
        self,
        logits: Tensor,
        categories: Tensor,
        counts: Normalisers,
        *,
        quality: Tensor | None = None,
        quality_logits: Sequence[Tensor] = (),
    ) -> dict[str, Tensor]:
        """Return `loss_category`, and of a quality branch `loss_quality`: float32 scalars.

        Args:
            logits: (N, C, K), for softmax (N, C, K + 1).
            categories: (N, C) int64, K for the background.
            counts: Over all that makes a step.
            quality: (N, C) float32 in [0, 1], where loss or branch want it: how well each positive cell's soft mask
                shows its object, 0 for the background; see `cell_quality`.
            quality_logits: Per level, (N, 1, S, S); empty without such a branch.
        """
        terms = {"loss_category": self(logits, categories, counts, quality)}
        if quality_logits and quality is not None:
            positive = categories < logits.shape[2] - (self.loss == CategoryLoss.SOFTMAX)
            total = quality_branch_loss(quality_logits, positive, quality)
            terms["loss_quality"] = total / counts.cells.clamp(min=1)
        return terms

    def __call__(
        self,
        logits: Tensor,
        categories: Tensor,
        counts: Normalisers,
        quality: Tensor | None = None,
    ) -> Tensor:
        """Compare all cells with their categories: a float32 scalar; for the arguments see :meth:`terms`."""
        alpha, gamma = self.alpha, self.gamma
        per_image = self.normalizer == CategoryNormalizer.IMAGES
        divisor = counts.cells + (counts.images if per_image else 1)
        if self.loss == CategoryLoss.FOCAL:
            return focal_loss(logits, categories, alpha=alpha, gamma=gamma) / divisor
        if self.loss == CategoryLoss.SOFTMAX:
            return softmax_loss(logits, categories) / divisor
        assert quality is not None
        if self.loss == CategoryLoss.VARIFOCAL:
            return varifocal_loss(logits, categories, quality, alpha=alpha, gamma=gamma) / divisor
        if self.loss == CategoryLoss.QUALITY_FOCAL:
            return quality_focal_loss(logits, categories, quality, gamma=gamma) / divisor
        return rank_sort_loss(logits, categories, quality)
