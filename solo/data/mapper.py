"""From a record of a data set to what the model takes: the moved image, and exact masks of it."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import DatasetMapper
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.utils.file_io import PathManager
from PIL import ExifTags, Image

from solo.data.augmentation import (
    Sample,
    Visibility,
    build_augmentations,
    build_test_resize,
    build_visibility,
)
from solo.data.augmentation.geometry import RESIZING, FastResizeTransform, fitting_size
from solo.data.rle import run_lengths
from solo.errors import UserError, told_as
from solo.images import PixelDepthError, read_image, upright
from solo.structures.box import Box
from solo.structures.region import Region, region_of_mask, region_of_polygons

# What is raised for files that are missing, cut short, no images at all, or of too many bits.
READ_ERRORS = (OSError, SyntaxError, EOFError, struct.error, PixelDepthError)


class UnreadableImageError(UserError):
    """An image file that is missing, damaged, of an unknown format or of too many bits."""


class SOLODatasetMapper(DatasetMapper):
    """Map a record to a training or test item, as detectron2's mapper does, but for masks.

    Polygons, RLE (compressed or not) and per-pixel masks may be mixed in a data set: training
    always gets ``BitMasks``, and ``INPUT.MASK_FORMAT`` has no say. Boxes are the tight bounds of
    the moved masks, which an annotated box is not after a crop or a rotation.

    ``augmentations`` are those of detectron2, or users' own. They may ask for ``regions``, the
    objects' masks, as they may for the ``image``.
    """

    @configurable
    def __init__(
        self, is_train: bool, *, visibility: Visibility | None = None, **kwargs: Any
    ) -> None:
        """Take what detectron2's mapper takes; masks are always used.

        Args:
            is_train: Whether to hand out annotations.
            visibility: Which objects to keep. None: all that have a pixel left.
            **kwargs: Of ``detectron2.data.DatasetMapper``.
        """
        super().__init__(is_train, **kwargs)
        self.visibility = visibility or Visibility()
        self._of_parts = [a for a in self.augmentations.augs if not isinstance(a, RESIZING)]

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> dict[str, Any]:
        """Return the arguments of ``__init__`` that a config stands for.

        Raises:
            UserError: If a key of INPUT has a value that makes no sense.
        """
        if cfg.INPUT.FORMAT not in (*Image.MODES, "BGR", "YUV-BT.601"):
            raise UserError(f'INPUT.FORMAT is {cfg.INPUT.FORMAT!r}: give "BGR" or "RGB"')
        with told_as("INPUT in the config cannot be used"):  # detectron2 builds its own, too
            arguments = super().from_config(cfg, is_train)
        if is_train:
            arguments["augmentations"] = build_augmentations(cfg)
            arguments["visibility"] = build_visibility(cfg)
        else:
            arguments["augmentations"] = [build_test_resize(cfg)]
        arguments["use_instance_mask"] = True
        arguments["instance_mask_format"] = "bitmask"
        arguments["recompute_boxes"] = True
        return arguments

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """Return a new item; the record stays as it is.

        Args:
            dataset_dict: A record in detectron2's standard format.

        Returns:
            The record with ``image``, (3, H, W) uint8 after the augmentations. For training also
            ``instances`` with ``gt_masks``, ``gt_boxes`` and ``gt_classes``, without crowds and
            without objects that left the image; there may be none.

        Raises:
            UnreadableImageError: If the image file cannot be read.
            UserError: If the image or an annotation is not what the record says; names the file.
        """
        if self.is_train:
            record = dict(dataset_dict)
            return self.item(record, self.sample(record))
        unused = ("annotations", "sem_seg_file_name")
        item = {key: value for key, value in dataset_dict.items() if key not in unused}
        with _errors_that_name(item):
            seen = T.AugInput(read_image(item["file_name"], self.image_format))
            utils.check_image_size(item, seen.image)
        self.augmentations(seen)
        item["image"] = _as_tensor(seen.image)
        return item

    def sample(self, record: dict[str, Any], fit: tuple[float, float] | None = None) -> Sample:
        """Return the augmented image of a record, and the objects that show enough.

        Args:
            record: In detectron2's standard format; gets width and height if it has none.
            fit: (H, W) in pixels. The image is made as large as fits into it, in place of the
                augmentations that resize and crop.

        Raises:
            UnreadableImageError: As ``__call__``.
            UserError: As ``__call__``.
        """
        with _errors_that_name(record):
            if fit is None:
                image = read_image(record["file_name"], self.image_format)
                size, augmentations = image.shape[:2], self.augmentations
            else:
                image, size = read_reduced(record["file_name"], self.image_format, fit)
                resize = FastResizeTransform(*size, *fitting_size(size, fit))
                augmentations = T.AugmentationList([resize, *self._of_parts])
            # It asks for the shape only.
            utils.check_image_size(record, np.broadcast_to(np.uint8(0), size))
        scene = _Scene(image, size, record, own_areas=self.visibility.min_share > 0)
        augmentations(scene)
        return Sample(scene.image, self.visibility(scene.regions))

    def item(self, record: dict[str, Any], sample: Sample) -> dict[str, Any]:
        """Return the training item of a record whose image became a sample."""
        item = {key: value for key, value in record.items() if key != "annotations"}
        item["image"] = _as_tensor(sample.image)
        item["instances"] = Sample(sample.image, self.visibility(sample.regions)).instances()
        return item


def _as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))


@contextmanager
def _errors_that_name(record: dict[str, Any]) -> Iterator[None]:
    """Say which image cannot be read, or is not the one that was annotated."""
    name = record.get("file_name", "an image without file_name")
    try:
        yield
    except utils.SizeMismatchError as error:
        raise UserError(
            f"{error} Or restore the original image, if {name} was resized after its "
            "annotations were made"
        ) from error
    except READ_ERRORS as error:
        raise UnreadableImageError(
            f"cannot read the image {name}: {type(error).__name__}: {error}. Restore the file, "
            "or remove it from the annotations"
        ) from error


def read_reduced(
    path: str, image_format: str, fit: tuple[float, float]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Read an image that is going to be made smaller, as detectron2 reads it.

    A JPEG that is needed at half, a quarter or an eighth of its size is decoded at that size.

    Args:
        path: The file.
        image_format: "RGB" or "BGR".
        fit: (H, W) in pixels that the image is to fit into.

    Returns:
        image: (h, w, 3) uint8, upright, at least as large as is needed.
        size: (H, W) of the whole image.
    """
    with PathManager.open(path, "rb") as file:
        image = Image.open(file)
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # by a quarter
        stored = image.size
        size = stored if turned else stored[::-1]
        needed = fitting_size(size, fit)
        image.draft(image.mode, needed if turned else needed[::-1])
        image = np.asarray(upright(image).convert("RGB"))
    # Not detectron2's view with turned strides, which all that follows is slower on.
    return (cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image_format == "BGR" else image), size


class _Scene(T.AugInput):
    """What augmentations see and change: the image, and the objects when one asks for them."""

    def __init__(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        record: dict[str, Any],
        *,
        own_areas: bool,
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


def moved_region(
    annotation: dict[str, Any],
    transforms: T.TransformList,
    height_width: tuple[int, int],
    new_height_width: tuple[int, int],
) -> Region | None:
    """Return the mask of an annotation after the augmentations of its image.

    Polygons are moved as coordinates and drawn once, at the final size: this costs least, and
    loses nothing to resampling.

    Args:
        annotation: With ``segmentation`` in one of COCO's three formats, or a per-pixel array.
        transforms: What was done to the image.
        height_width: Of the image before, in pixels.
        new_height_width: Of the image after, in pixels.

    Returns:
        The region in the new image; None if nothing of the object is left.

    Raises:
        UserError: If there is no segmentation, or one that cannot be understood.
    """
    segmentation = annotation.get("segmentation")
    if segmentation is None:
        raise UserError("it has no segmentation, and a box alone does not teach masks")
    if isinstance(segmentation, list):
        polygons = [_polygon(points) for points in segmentation]
        # apply_coords, not apply_polygons: that clips by shapely, which drawing makes unnecessary.
        moved = [transforms.apply_coords(polygon) for polygon in polygons]
        return region_of_polygons(moved, *new_height_width)
    mask = decode_mask(segmentation)
    if mask.shape != tuple(height_width):
        raise UserError(
            f"its mask is {mask.shape[1]}x{mask.shape[0]} pixels, "
            f"the image {height_width[1]}x{height_width[0]}"
        )
    return region_of_mask(transforms.apply_segmentation(mask))


def _magnification(transforms: T.TransformList, size: tuple[int, int]) -> float:
    """Return how many pixels the augmentations make of one: exact where they are affine."""
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float64)
    origin, right, down = transforms.apply_coords(corners)
    (a, b), (c, d) = right - origin, down - origin
    return abs(a * d - b * c) / (height * width)


def decode_mask(segmentation: dict[str, Any] | np.ndarray) -> np.ndarray:
    """Return a mask as pixels.

    Args:
        segmentation: COCO's RLE, compressed (``counts`` is bytes or a string) or not (a list), or
            an array (H, W) whose non-zero pixels belong to the object.

    Returns:
        (H, W) uint8, 0 or 1.

    Raises:
        UserError: If it is none of these.
    """
    if isinstance(segmentation, np.ndarray):
        if segmentation.ndim != 2:
            raise UserError(f"its mask must have two dimensions, got {segmentation.shape}")
        return (segmentation != 0).astype(np.uint8)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise UserError(
            "its segmentation is neither a list of polygons, nor RLE with size and counts, "
            f"nor an array of pixels, but {_excerpt(segmentation)}"
        )
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    compressed = not isinstance(counts, list)
    # pycocotools leaves what the runs do not reach as it was in memory.
    if sum(run_lengths(counts) if compressed else counts) != height * width:
        raise UserError(f"its RLE counts do not add up to {height} x {width} pixels")
    if not compressed:
        segmentation = mask_util.frPyObjects(segmentation, height, width)
    return mask_util.decode(segmentation)


def _polygon(points: Any) -> np.ndarray:
    """Return the corners of a polygon, (n, 2) float64."""
    try:
        # A copy: transforms work in place.
        corners = np.array(points, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        corners = np.zeros(0)
    if len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise UserError(
            "each of its polygons must be a list of at least three x, y pairs, "
            f"[x1, y1, x2, y2, ...], one is {_excerpt(points)}"
        )
    return corners.reshape(-1, 2)


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
