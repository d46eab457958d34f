"""What augmentations see and change: the image of a record, and the objects when one asks for them."""

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from detectron2.data import transforms as T

from solo.data.mask_forms import read_mask
from solo.data.segmentations import annotated_box, decode_mask, moved_box, moved_region
from solo.errors import UserError
from solo.structures.box import Box
from solo.structures.region import Region


class Scene(T.AugInput):
    """An image on its way through the augmentations, and its objects, as they are now."""

    def __init__(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        record: dict[str, Any],
        *,
        own_areas: bool,
        boxes_only: bool = False,
    ) -> None:
        """Take an image with its record.

        Args:
            image: (h, w, 3), which may have been reduced.
            size: Its full (H, W).
            record: In detectron2's standard format.
            own_areas: Whether to measure uncut objects.
            boxes_only: Whether boxes suffice, and masks are not looked at where there are boxes.
        """
        super().__init__(image)
        self._size = size
        self._record = record
        self._own_areas = own_areas
        self._boxes_only = boxes_only
        self._move = moved_box if boxes_only else moved_region
        self._transforms: list[T.Transform] = []
        self._sizes: list[tuple[int, int]] = []

    def transform(self, tfm: T.Transform) -> None:
        """Change the image, and later the objects."""
        super().transform(tfm)
        self._transforms.append(tfm)
        self._sizes.append(self.image.shape[:2])
        for name in ("_drawn", "_window"):
            self.__dict__.pop(name, None)

    @property
    def regions(self) -> list[Region]:
        """Of the objects that can be seen, in the image as it is now; crowds are none.

        Raises:
            UserError: If an annotation cannot be used; names it and the file.
        """
        return [region for _, region in self._drawn if region]

    @property
    def vanished(self) -> int:
        """How many objects have no pixel, though no augmentation cut them off; raises as `regions`."""
        return sum(not region and not self._is_cut_off(item) for item, region in self._drawn)

    @cached_property
    def _drawn(self) -> list[tuple[dict[str, Any], Region | None]]:
        """Each annotation that is no crowd, and what can be seen of it."""
        transforms = T.TransformList(self._transforms)
        annotations = [
            item for item in self._record.get("annotations", ()) if item.get("iscrowd", 0) == 0
        ]
        drawn = []
        for index, item in enumerate(annotations):
            try:
                drawn.append((item, self._region(item, transforms)))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else error
                raise UserError(
                    f"annotation {item.get('id', index)} of {self._record.get('file_name')} cannot "
                    f"be used: {reason}. Correct or remove it"
                ) from error
        return drawn

    def _is_cut_off(self, annotation: dict[str, Any]) -> bool:
        """Tell whether the middle of an object lies in the original, but not in what is shown of it."""
        middle = np.floor(self._middle(annotation)) + 0.5  # of a pixel
        height, width = self._size
        if not Box(0, 0, width, height).holds(_pixel(middle)):
            return False
        moved = T.TransformList(self._transforms).apply_coords(middle[None].copy())[0]
        return not self._window.holds(_pixel(moved))

    def _middle(self, annotation: dict[str, Any]) -> np.ndarray:
        """Return the middle of the bounds of an object, x and y."""
        if self._boxes_only:
            return annotated_box(annotation, self._size).reshape(2, 2).mean(axis=0)
        return _middle(annotation["segmentation"], self._size)

    def _region(self, annotation: dict[str, Any], transforms: T.TransformList) -> Region | None:
        category = int(annotation["category_id"])
        region = self._move(annotation, transforms, self._size, self.image.shape[:2])
        if region and (self._boxes_only or isinstance(annotation["segmentation"], list)):
            region = region.within(self._window)
        if region and self._own_areas:
            whole = self._move(annotation, T.TransformList([]), self._size, self._size)
            area = whole.area if whole else 0
            region = region._replace(own_area=area * _magnification(transforms, self._size))
        return region and region._replace(category=category)

    @cached_property
    def _window(self) -> Box:
        """What the image shows of the original; what a crop removed, a later pad must not bring back.

        Bitmasks lose it as the image does, polygons and boxes keep it. Exact for all but turned images, of
        which this is the box around.
        """
        height, width = self._size
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
        for transform, (height, width) in zip(self._transforms, self._sizes, strict=True):
            corners = np.clip(transform.apply_coords(corners), 0, (width, height))
        return Box(*np.rint([*corners.min(axis=0), *corners.max(axis=0)]).astype(int).tolist())


def _middle(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Return the middle of the bounds of a mask, x and y."""
    if isinstance(segmentation, list):
        mask = read_mask(segmentation, size)
        assert isinstance(mask, list)  # as it is in another form only where it is given so
        corners = np.concatenate(mask).reshape(-1, 2)
        return (corners.min(axis=0) + corners.max(axis=0)) / 2
    left, top, width, height = cv2.boundingRect(decode_mask(segmentation))
    return np.array([left + width / 2, top + height / 2])


def _pixel(point: np.ndarray) -> Box:
    """Return the pixel that a point, x and y, lies in."""
    x, y = np.floor(point).astype(int).tolist()
    return Box(x, y, x + 1, y + 1)


def _magnification(transforms: T.TransformList, size: tuple[int, int]) -> float:
    """Return how many pixels the augmentations make of one: exact where they are affine."""
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float64)
    origin, right, down = transforms.apply_coords(corners)
    (a, b), (c, d) = right - origin, down - origin
    return abs(a * d - b * c) / (height * width)
