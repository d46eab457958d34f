"""Mixup: two images in one, half transparent, with the objects of both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from detectron2.config import CfgNode

from solo.data.augmentation.multi_image import Images
from solo.data.augmentation.sample import Sample, random_offset
from solo.data.augmentation.values import range_of, share_of


@dataclass(frozen=True)
class Mixup:
    """Two images, blended where both are; beyond the second, the first stays as it is.

    Source: mixup, arXiv 1710.09412, with hard labels: each object of both is one to find.

    Attributes:
        prob: Of being applied.
        weight_range: Of the first image, 0 to 1.
    """

    key: ClassVar[str] = "INPUT.MIXUP"

    prob: float
    weight_range: tuple[float, float]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "Mixup":
        """Return what INPUT.MIXUP stands for."""
        node = cfg.INPUT.MIXUP
        return cls(
            prob=share_of("INPUT.MIXUP.PROB", node.PROB),
            weight_range=range_of("INPUT.MIXUP.WEIGHT_RANGE", node.WEIGHT_RANGE, most=1),
        )

    def __call__(self, first: Callable[[], Sample], images: Images) -> Sample:
        """Return the blend, in the size of the first; the second lies at a random place in it."""
        sample = first()
        other = images.other(images.load)
        weight = np.random.uniform(*self.weight_range)
        x = random_offset(sample.box.right, other.box.right)
        y = random_offset(sample.box.bottom, other.box.bottom)
        shared = sample.box.common(other.box.moved(x, y))
        image = np.array(sample.image)
        image[shared.slices] = cv2.addWeighted(
            np.ascontiguousarray(image[shared.slices]),
            weight,
            np.ascontiguousarray(other.image[shared.moved(-x, -y).slices]),
            1 - weight,
            0,
        )
        added = (region.moved(x, y).within(sample.box) for region in other.regions)
        return Sample(image, [*sample.regions, *(region for region in added if region)])
