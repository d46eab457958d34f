"""Mosaic: four images in one, each seen through a quarter of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import transforms as T

from solo.data.augmentation.geometry import ResizeShortestEdge
from solo.data.augmentation.multi_image import Images
from solo.data.augmentation.sample import Sample, random_offset
from solo.data.augmentation.values import pad_value, range_of, share_of, size_of
from solo.errors import UserError
from solo.structures.box import Box
from solo.structures.region import Region


@dataclass(frozen=True)
class Mosaic:
    """Four images around a random point, each at its own scale.

    Source: YOLOv4, arXiv 2004.10934, 3.3.

    Attributes:
        prob: Of being applied.
        cut_range: Where the four images meet, as shares of width and height.
        scale_range: Of the size that an image would have alone in the mosaic's place.
        resize: The detectron2 augmentation that gives the mosaic its size, from the first image.
        pad_value: Of what no image covers, one number per channel.
    """

    key: ClassVar[str] = "INPUT.MOSAIC"

    prob: float
    cut_range: tuple[float, float]
    scale_range: tuple[float, float]
    resize: T.Augmentation
    pad_value: tuple[int, ...]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "Mosaic":
        """Return what INPUT.MOSAIC stands for; INPUT.JITTER or MIN_SIZE_TRAIN give the size."""
        node = cfg.INPUT.MOSAIC
        if cfg.INPUT.JITTER.ENABLED:
            resize = T.Resize(size_of("INPUT.JITTER.IMAGE_SIZE", cfg.INPUT.JITTER.IMAGE_SIZE))
        else:
            resize = ResizeShortestEdge(
                cfg.INPUT.MIN_SIZE_TRAIN,
                cfg.INPUT.MAX_SIZE_TRAIN,
                cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING,
            )
        prob = share_of("INPUT.MOSAIC.PROB", node.PROB)
        return cls(
            prob=prob,
            cut_range=range_of("INPUT.MOSAIC.CUT_RANGE", node.CUT_RANGE, most=1),
            scale_range=range_of("INPUT.MOSAIC.SCALE_RANGE", node.SCALE_RANGE, above=0),
            resize=resize,
            pad_value=pad_value(cfg) if prob else (),
        )

    def __call__(self, first: Callable[[], Sample], images: Images) -> Sample:
        """Return the mosaic of an image and three others, all of them read as parts of it."""
        height, width = self.output_size(images.record)
        # Row by row: NumPy repeats three numbers slowly.
        row = np.tile(np.array(self.pad_value, dtype=np.uint8), width)
        image = np.tile(row, (height, 1)).reshape(height, width, 3)
        regions: list[Region] = []
        for number, window in enumerate(self._windows(height, width)):
            scale = np.random.uniform(*self.scale_range)
            read = partial(images.load, fit=(scale * height, scale * width))
            part = images.other(read) if number else read(images.record)
            regions += _put(image, part, window)
        return Sample(image, regions)

    def output_size(self, record: dict[str, Any]) -> tuple[int, int]:
        """Return the (H, W) of a mosaic that begins with an image.

        Raises:
            UserError: If the record lacks width or height.
        """
        try:
            old = record["width"], record["height"]
        except KeyError as error:
            raise UserError(
                f"the record of {record.get('file_name')} has no {error}, which INPUT.MOSAIC needs:"
                " add it, or set INPUT.MOSAIC.PROB to 0"
            ) from error
        blank = np.broadcast_to(np.uint8(0), (old[1], old[0], 3))
        corner = self.resize.get_transform(blank).apply_coords(np.array([old], dtype=np.float64))
        width, height = np.rint(corner[0]).astype(int).tolist()
        return height, width

    def _windows(self, height: int, width: int) -> list[Box]:
        x, y = (round(np.random.uniform(*self.cut_range) * length) for length in (width, height))
        return [
            Box(0, 0, x, y),
            Box(x, 0, width, y),
            Box(0, y, x, height),
            Box(x, y, width, height),
        ]


def _put(image: np.ndarray, part: Sample, window: Box) -> list[Region]:
    """Show a random detail of a part in a window of the image; return its objects there."""
    x = window.left + random_offset(window.right - window.left, part.box.right)
    y = window.top + random_offset(window.bottom - window.top, part.box.bottom)
    seen = window.common(part.box.moved(x, y))
    image[seen.slices] = part.image[seen.moved(-x, -y).slices]
    shown = (region.moved(x, y).within(window) for region in part.regions)
    return [region for region in shown if region]
