"""LOSS.SEMANTIC_WEIGHT: which classes each pixel shows, learnt beside the masks of instances.

Legend: N images, K classes, M instances of an image, h, w soft mask size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor
from torch.nn.functional import pad

from solo.config.choices import LearntFrom
from solo.errors import UserError
from solo.layers.masks import downsample_masks
from solo.layers.transfer import to_host
from solo.modeling.losses import focal_term


@dataclass(frozen=True)
class SemanticLoss:
    """The focal loss of each class at each pixel, divided by how often a pixel shows a class.

    Attributes:
        num_classes: K.
        stride: Pixels of the input per pixel of the logits.
        alpha: Of the focal loss: weight of a class that a pixel shows; 1 - alpha of one that it does not.
        gamma: Exponent of the focusing.

    Source:
        CondInst (arXiv 2003.05664), whose code learns it of the pyramid's finest level.
    """

    num_classes: int
    stride: int
    alpha: float = 0.25
    gamma: float = 2.0

    @classmethod
    def from_config(cls, cfg: CfgNode, stride: int) -> "SemanticLoss | None":
        """Read MODEL.SOLO; None where nothing of it is wanted.

        Args:
            cfg: The config.
            stride: Of the logits that the head makes; 0: it makes none.

        Raises:
            UserError: If the head makes no such logits, or there are no masks to learn from.
        """
        node = cfg.MODEL.SOLO
        weight = node.LOSS.SEMANTIC_WEIGHT
        if weight < 0:
            raise UserError(f"MODEL.SOLO.LOSS.SEMANTIC_WEIGHT is {weight}; give 0 or more.")
        if not weight:
            return None
        remedy = "set it to 0"
        if node.LOSS.SUPERVISION == LearntFrom.BOX:
            remedy = f'{remedy} with MODEL.SOLO.LOSS.SUPERVISION "box", which looks at no masks'
        elif not stride:
            remedy = f"{remedy}, or take SOLOv2: this head has no mask feature to learn it"
        else:
            return cls(node.NUM_CLASSES, stride, node.LOSS.FOCAL_ALPHA, node.LOSS.FOCAL_GAMMA)
        raise UserError(f"MODEL.SOLO.LOSS.SEMANTIC_WEIGHT is {weight}; {remedy}.")

    def count(self, truth: Sequence[Instances]) -> Tensor:
        """Count how often a pixel of the batch shows a class, (1,) int64 on the device."""
        counts = [self._class_masks(image).sum() for image in truth]
        return torch.stack(counts)[:, None].sum(dim=0)

    def __call__(self, logits: Tensor, truth: Sequence[Instances], num_shown: Tensor) -> Tensor:
        """Compare the logits with the masks of the instances.

        Args:
            logits: (N, K, h, w).
            truth: Of each image, with gt_classes and gt_masks.
            num_shown: What :meth:`count` says, over all that makes a step.

        Returns:
            A float32 scalar.
        """
        frame = (logits.shape[2], logits.shape[3])
        # An image at a time: with many classes these are large tensors.
        sums = [
            pixel_focal_loss(part, self.shown(image, frame), alpha=self.alpha, gamma=self.gamma)
            for part, image in zip(logits, truth, strict=True)
        ]
        return torch.stack(sums).sum() / num_shown.clamp(min=1)

    def shown(self, image: Instances, frame: tuple[int, ...]) -> Tensor:
        """Return where each class is, (K, h, w) bool, (h, w) being the frame."""
        masks = self._class_masks(image)
        height, width = masks.shape[1:]
        return pad(masks, (0, frame[1] - width, 0, frame[0] - height))

    def _class_masks(self, image: Instances) -> Tensor:
        """Return where each class is in the image without padding: made once, for the count and the loss."""
        if not image.has("gt_shown"):
            height, width = (-(-side // self.stride) for side in image.image_size)
            masks = downsample_masks(image.gt_masks, self.stride, (height, width))
            union = masks.new_zeros((self.num_classes, height, width))
            for mask, category in zip(masks, to_host(image.gt_classes).tolist(), strict=True):
                union[category] |= mask
            image.gt_shown = _ClassMasks(union, len(image))
        shown: _ClassMasks = image.gt_shown
        return shown.masks


@dataclass(frozen=True)
class _ClassMasks:
    """(K, h, w) bool as a field of Instances, which want as many of a field as there are instances."""

    masks: Tensor
    num_instances: int

    def __len__(self) -> int:
        return self.num_instances


def pixel_focal_loss(logits: Tensor, shown: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the sigmoid focal loss summed over pixels and classes, several of which a pixel may show.

    Args:
        logits: (K, h, w).
        shown: (K, h, w) bool.
        alpha: Weight of what is shown; 1 - alpha of what is not.
        gamma: Exponent of the focusing.
    """
    logits = logits.float()
    wrong = torch.where(shown, -logits, logits)
    return (focal_term(wrong, gamma) * torch.where(shown, alpha, 1 - alpha)).sum()
