"""An image with the masks or boxes of its objects, between the reading of files and the tensors of the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from detectron2.structures import BitMasks, Boxes, Instances

from solo.structures.box import Box
from solo.structures.region import Region


@dataclass(frozen=True)
class Sample:
    """An image and its objects.

    Attributes:
        image: (H, W, 3) uint8 in the channel order of the config.
        regions: Of the objects, none reaching beyond the image. They may overlap.
    """

    image: np.ndarray
    regions: Sequence[Region]

    @property
    def box(self) -> Box:
        """The whole image."""
        height, width = self.image.shape[:2]
        return Box(0, 0, width, height)

    def instances(self, *, with_masks: bool = True) -> Instances:
        """Return the objects as the model takes them: masks of full size, if any, tight boxes, classes.

        With the masks come `gt_measures`, (M, 3) of `measure_masks`: on a GPU they would have to be waited for.
        """
        size = self.image.shape[:2]
        boxes = np.array([region.bounds for region in self.regions], dtype=np.float32)
        instances = Instances(size)
        if with_masks:
            masks = np.zeros((len(self.regions), *size), dtype=bool)
            for mask, region in zip(masks, self.regions, strict=True):
                mask[region.box.slices] = region.pixels
            instances.gt_masks = BitMasks(torch.from_numpy(masks))
            measures = np.array([region.measures for region in self.regions], dtype=np.float64)
            instances.gt_measures = torch.from_numpy(measures.reshape(-1, 3))
        instances.gt_classes = torch.tensor([r.category for r in self.regions], dtype=torch.int64)
        instances.gt_boxes = Boxes(torch.from_numpy(boxes.reshape(-1, 4)))
        return instances


@dataclass(frozen=True)
class Visibility:
    """Which objects are worth learning from, by what is left to see of them.

    Attributes:
        min_area: Pixels, at least 1.
        min_share: Of what the object has in its own image, at the scale it is shown at.
    """

    min_area: int = 1
    min_share: float = 0.0

    def __call__(self, regions: Sequence[Region]) -> list[Region]:
        """Return the regions that show enough."""
        return [r for r in regions if r.area >= max(self.min_area, self.min_share * r.own_area)]


def random_offset(room: int, size: int) -> int:
    """Return where to place what is `size` long in a room, so that as much as possible of it fits.

    Args:
        room: Pixels.
        size: Pixels; larger than the room, it hides the room's walls, and is cut off there.

    Returns:
        A start from 0 to room - size, both included; negative if the room is smaller.
    """
    gap = room - size
    return int(np.random.randint(min(gap, 0), max(gap, 0) + 1))
