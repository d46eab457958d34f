"""Copy-paste: objects of another image, or of the same, at random places of an image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from detectron2.config import CfgNode

from solo.data.augmentation.multi_image import Images
from solo.data.augmentation.sample import Sample, random_offset
from solo.data.augmentation.values import share_of
from solo.errors import UserError
from solo.structures.region import Region


@dataclass(frozen=True)
class CopyPaste:
    """Paste objects; what they cover is taken from the masks below.

    Source: Simple Copy-Paste, arXiv 2012.07177, 3; places are random, too, which images of
    different sizes, and the same image, need.

    Attributes:
        prob: Of being applied.
        max_objects: Pasted at most; the number is random.
        same_image_prob: Of taking the objects from the image itself.
        soft_edge: Pixels on either side of an object's edge over which the images are blended. Masks
            stay as they are.
    """

    key: ClassVar[str] = "INPUT.COPY_PASTE"

    prob: float
    max_objects: int
    same_image_prob: float
    soft_edge: int

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "CopyPaste":
        """Return what INPUT.COPY_PASTE stands for."""
        node = cfg.INPUT.COPY_PASTE
        if node.MAX_OBJECTS < 1:
            raise UserError(f"INPUT.COPY_PASTE.MAX_OBJECTS is {node.MAX_OBJECTS}: give 1 or more")
        if node.SOFT_EDGE < 0:
            raise UserError(
                f"INPUT.COPY_PASTE.SOFT_EDGE is {node.SOFT_EDGE}: give pixels, 0 or more"
            )
        return cls(
            prob=share_of("INPUT.COPY_PASTE.PROB", node.PROB),
            max_objects=node.MAX_OBJECTS,
            same_image_prob=share_of("INPUT.COPY_PASTE.SAME_IMAGE_PROB", node.SAME_IMAGE_PROB),
            soft_edge=node.SOFT_EDGE,
        )

    def __call__(self, first: Callable[[], Sample], images: Images) -> Sample:
        """Return the image with random objects of another one, or of itself."""
        sample = first()
        same = np.random.rand() < self.same_image_prob
        source = sample if same else images.other(images.load)
        count = np.random.randint(1, self.max_objects + 1)
        image, regions = np.array(sample.image), list(sample.regions)
        for index in np.random.permutation(len(source.regions))[:count]:
            region = source.regions[index]
            height, width = region.pixels.shape
            x = random_offset(sample.box.right, width) - region.left
            y = random_offset(sample.box.bottom, height) - region.top
            pasted = region.moved(x, y).within(sample.box)
            if not pasted:
                continue
            self._paint(image, source, region, x, y)
            uncovered = (below.without(pasted) for below in regions)
            regions = [*(below for below in uncovered if below), pasted]
        return Sample(image, regions)

    def _paint(self, image: np.ndarray, source: Sample, region: Region, x: int, y: int) -> None:
        """Draw a region of the source, x and y pixels further, into the image, in place."""
        height, width = image.shape[:2]
        frame = region.box.grown(self.soft_edge)
        # In the source: what is there, and has a place in the image.
        seen = frame.common(source.box).common(
            source.box._replace(right=width, bottom=height).moved(-x, -y)
        )
        weights = self._weights(region.pixels)[seen.moved(-frame.left, -frame.top).slices]
        target, painted = image[seen.moved(x, y).slices], source.image[seen.slices]
        if self.soft_edge:
            weights = np.ascontiguousarray(weights)
            target[:] = cv2.blendLinear(
                np.ascontiguousarray(painted), np.ascontiguousarray(target), weights, 1 - weights
            )
        else:
            np.copyto(target, painted, where=weights[..., None])

    def _weights(self, pixels: np.ndarray) -> np.ndarray:
        """Return how much of a region shows in its box, grown by the soft edge: (h, w), 0 to 1."""
        edge = self.soft_edge
        if not edge:
            return pixels
        grown = np.pad(pixels.astype(np.float32), edge)
        return cv2.GaussianBlur(grown, (2 * edge + 1, 2 * edge + 1), edge / 2)
