"""Multi-scale training: every few iterations all batches get another size, on the device.

Legend: N images, H, W size of the batch in pixels.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from detectron2.structures import Boxes, Instances
from torch import Tensor
from torch.nn import functional as F

from solo.errors import UserError

# Iterations that have one size, and what its sides are multiples of: the largest stride.
_PERIOD = 10
_MULTIPLE = 32


@dataclass(frozen=True)
class MultiScale:
    """The size of a step is a function of seed and iteration: the same on all workers, and after a resumption.

    Source: YOLOX, arXiv 2107.08430, 2.1 (Strong data augmentation), as its code has it.

    Attributes:
        smallest: Of the longer side of a batch, in pixels.
        largest: Of the longer side, included.
        seed: Of the run.
    """

    smallest: int
    largest: int
    seed: int

    @classmethod
    def from_range(cls, sizes: Sequence[int], seed: int) -> "MultiScale | None":
        """Return what MODEL.YOLOX.MULTI_SCALE stands for; None where it is empty.

        Raises:
            UserError: If it is no range of multiples of 32.
        """
        if not sizes:
            return None
        smallest, largest = (*sizes, 0, 0)[:2]
        if len(sizes) != 2 or not 0 < smallest <= largest or any(s % _MULTIPLE for s in sizes):
            raise UserError(
                f"MODEL.YOLOX.MULTI_SCALE is {list(sizes)}: give [smallest, largest] in pixels, multiples "
                f"of {_MULTIPLE}, or [] for the size that the images have"
            )
        return cls(smallest, largest, seed)

    def size(self, iteration: int) -> int:
        """Return the pixels of the longer side in an iteration."""
        # A text is hashed, so that neighbours have nothing in common.
        draw = random.Random(f"{self.seed} {iteration // _PERIOD}")
        return _MULTIPLE * draw.randint(self.smallest // _MULTIPLE, self.largest // _MULTIPLE)

    def __call__(
        self, images: Tensor, truth: Sequence[Instances], iteration: int
    ) -> tuple[Tensor, list[Instances]]:
        """Return a batch (N, C, H, W) and the boxes of its objects in the size of an iteration."""
        old = images.shape[2:]
        factor = self.size(iteration) / max(old)
        new = [max(_MULTIPLE, _MULTIPLE * round(side * factor / _MULTIPLE)) for side in old]
        if list(old) == new:
            return images, list(truth)
        images = F.interpolate(images, size=new, mode="bilinear")
        (vertical, horizontal) = (after / before for after, before in zip(new, old, strict=True))
        return images, [_scaled(item, horizontal, vertical) for item in truth]


def _scaled(truth: Instances, horizontal: float, vertical: float) -> Instances:
    height, width = truth.image_size
    scaled = Instances((round(height * vertical), round(width * horizontal)))
    scaled.gt_boxes = Boxes(truth.gt_boxes.tensor.clone())
    scaled.gt_boxes.scale(horizontal, vertical)
    scaled.gt_classes = truth.gt_classes
    return scaled
