"""What the category logits of a batch are compared by, and divided by.

Legend: N images, C cells of all levels, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detectron2.config import CfgNode
from torch import Tensor

from solo.config.choices import CategoryLoss, CategoryNormalizer, LearntFrom, choose
from solo.errors import UserError
from solo.modeling.losses import focal_loss, softmax_loss
from solo.modeling.quality_losses import quality_branch_loss, quality_focal_loss, varifocal_loss
from solo.modeling.rank_sort import rank_sort_loss

_OF_QUALITY = (CategoryLoss.QUALITY_FOCAL, CategoryLoss.VARIFOCAL, CategoryLoss.RANK_SORT)


@dataclass(frozen=True)
class CategoryRule:
    """The category loss.

    Attributes:
        loss: Of each class, or over the classes and the background.
        normalizer: What is added to the positive cells: one, or the number of images.
    """

    loss: CategoryLoss = CategoryLoss.FOCAL
    normalizer: CategoryNormalizer = CategoryNormalizer.POSITIVES

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
        rule = cls(node.CATEGORY, node.CATEGORY_NORMALIZER)
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
        quality_logits: Sequence[Tensor],
        categories: Tensor,
        counts: Tensor,
        focal: Mapping[str, float],
        quality: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return `loss_category`, and of a quality branch `loss_quality`.

        Args:
            logits: See :meth:`__call__`, as for the rest.
            quality_logits: Per level, (N, 1, S, S); empty without such a branch.
            categories: See there.
            counts: See there.
            focal: See there.
            quality: See there; a branch wants it, too.
        """
        terms = {"loss_category": self(logits, categories, counts, focal, quality)}
        if quality_logits and quality is not None:
            positive = categories < logits.shape[2] - (self.loss == CategoryLoss.SOFTMAX)
            total = quality_branch_loss(quality_logits, positive, quality)
            terms["loss_quality"] = total / counts[0].clamp(min=1)
        return terms

    def __call__(
        self,
        logits: Tensor,
        categories: Tensor,
        counts: Tensor,
        focal: Mapping[str, float],
        quality: Tensor | None = None,
    ) -> Tensor:
        """Compare all cells with their categories.

        Args:
            logits: (N, C, K), for softmax (N, C, K + 1).
            categories: (N, C) int64, K for the background.
            counts: What `TargetAssigner.count` returns, over all that makes a step.
            focal: `alpha` and `gamma` of the focal loss.
            quality: (N, C) float32 in [0, 1], where it is wanted: how well each positive cell's soft mask shows its
                object, 0 for the background; see `cell_quality`.

        Returns:
            A float32 scalar.
        """
        per_image = self.normalizer == CategoryNormalizer.IMAGES
        divisor = counts[0] + (counts[2] if per_image else 1)
        if self.loss == CategoryLoss.FOCAL:
            return focal_loss(logits, categories, **focal) / divisor
        if self.loss == CategoryLoss.SOFTMAX:
            return softmax_loss(logits, categories) / divisor
        assert quality is not None
        if self.loss == CategoryLoss.VARIFOCAL:
            return varifocal_loss(logits, categories, quality, **focal) / divisor
        if self.loss == CategoryLoss.QUALITY_FOCAL:
            gamma = focal["gamma"]
            return quality_focal_loss(logits, categories, quality, gamma=gamma) / divisor
        return rank_sort_loss(logits, categories, quality)
