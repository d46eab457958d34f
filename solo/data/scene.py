"""What augmentations see and change: the image of a record, and the objects when one asks for them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from detectron2.data import transforms as T

from solo.data.segmentations import moved_region
from solo.errors import UserError
from solo.structures.box import Box
from solo.structures.region import Region


class Scene(T.AugInput):
    """An image on its way through the augmentations, and its objects, as they are now."""

    def __init__(
        self, image: np.ndarray, size: tuple[int, int], record: dict[str, Any], *, own_areas: bool
    ) -> None:
        """Take the image, its full (H, W), its record, and whether to measure uncut objects."""
        super().__init__(image)
        self._size = size
        self._record = record
        self._own_areas = own_areas
        self._transforms: list[T.Transform] = []
        self._sizes: list[tuple[int, int]] = []

    def transform(self, tfm: T.Transform) -> None:
        """Change the image, and later the objects."""
        super().transform(tfm)
        self._transforms.append(tfm)
        self._sizes.append(self.image.shape[:2])
        for name in ("regions", "_window"):
            self.__dict__.pop(name, None)

    @cached_property
    def regions(self) -> Sequence[Region]:
        """Of the objects that can be seen, in the image as it is now; crowds are none.

        Raises:
            UserError: If an annotation cannot be used; names it and the file.
        """
        transforms = T.TransformList(self._transforms)
        annotations = [
            item for item in self._record.get("annotations", ()) if item.get("iscrowd", 0) == 0
        ]
        regions = []
        for index, item in enumerate(annotations):
            try:
                regions.append(self._region(item, transforms))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else error
                raise UserError(
                    f"annotation {item.get('id', index)} of {self._record.get('file_name')} cannot "
                    f"be used: {reason}. Correct or remove it"
                ) from error
        return [region for region in regions if region]

    def _region(self, annotation: dict[str, Any], transforms: T.TransformList) -> Region | None:
        category = int(annotation["category_id"])
        region = moved_region(annotation, transforms, self._size, self.image.shape[:2])
        if region and isinstance(annotation["segmentation"], list):
            region = region.within(self._window)
        if region and self._own_areas:
            whole = moved_region(annotation, T.TransformList([]), self._size, self._size)
            area = whole.area if whole else 0
            region = region._replace(own_area=area * _magnification(transforms, self._size))
        return region and region._replace(category=category)

    @cached_property
    def _window(self) -> Box:
        """What the image shows of the original; what a crop removed, a later pad must not bring back.

        Bitmasks lose it as the image does, polygons keep it. Exact for all but turned images, of
        which this is the box around.
        """
        height, width = self._size
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
        for transform, (height, width) in zip(self._transforms, self._sizes, strict=True):
            corners = np.clip(transform.apply_coords(corners), 0, (width, height))
        return Box(*np.rint([*corners.min(axis=0), *corners.max(axis=0)]).astype(int).tolist())


def _magnification(transforms: T.TransformList, size: tuple[int, int]) -> float:
    """Return how many pixels the augmentations make of one: exact where they are affine."""
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float64)
    origin, right, down = transforms.apply_coords(corners)
    (a, b), (c, d) = right - origin, down - origin
    return abs(a * d - b * c) / (height * width)
