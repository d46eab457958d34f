"""From a record of a data set to what the model takes: the moved image, and exact masks of it."""

import struct
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from detectron2.data.detection_utils import SizeMismatchError
from detectron2.structures import BitMasks, Instances
from detectron2.structures.masks import polygons_to_bitmask

# What Pillow raises for files that are missing, cut short or no images at all.
_READ_ERRORS = (OSError, SyntaxError, EOFError, struct.error)


class UnreadableImageError(ValueError):
    """An image file that is missing, damaged or of an unknown format."""


class SOLODatasetMapper(DatasetMapper):
    """Map a record to a training or test item, as detectron2's mapper does, but for masks.

    Polygons, RLE (compressed or not) and per-pixel masks may be mixed in a data set: training
    always gets ``BitMasks``, and ``INPUT.MASK_FORMAT`` has no say. Boxes are the tight bounds of
    the moved masks, which an annotated box is not after a crop or a rotation.
    """

    @configurable
    def __init__(self, is_train: bool, **kwargs: Any) -> None:
        """Take what detectron2's mapper takes; masks are always used.

        Args:
            is_train: Whether to hand out annotations.
            **kwargs: Of ``detectron2.data.DatasetMapper``.
        """
        super().__init__(is_train, **kwargs)

    @classmethod
    def from_config(cls, cfg: CfgNode, is_train: bool = True) -> dict[str, Any]:
        """Return the arguments of ``__init__`` that a config stands for."""
        arguments = super().from_config(cfg, is_train)
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
            ValueError: If the image or an annotation is not what the record says; names the file.
        """
        name = dataset_dict.get("file_name", "an image without file_name")
        try:
            return super().__call__(dataset_dict)
        except SizeMismatchError as error:
            raise ValueError(
                f"{error} Or restore the original image, if {name} was resized after its "
                "annotations were made"
            ) from error
        except _READ_ERRORS as error:
            raise UnreadableImageError(
                f"cannot read the image {name}: {type(error).__name__}: {error}. Restore the file, "
                "or remove it from the annotations"
            ) from error

    # The hook of detectron2's mapper.
    def _transform_annotations(
        self, dataset_dict: dict[str, Any], transforms: T.TransformList, image_shape: tuple
    ) -> None:
        annotations = [
            item for item in dataset_dict.pop("annotations") if item.get("iscrowd", 0) == 0
        ]
        masks = np.zeros((len(annotations), *image_shape), dtype=bool)
        classes = torch.zeros(len(annotations), dtype=torch.int64)
        size = dataset_dict["height"], dataset_dict["width"]
        for index, item in enumerate(annotations):
            try:
                masks[index] = moved_mask(item, transforms, size, image_shape)
                classes[index] = int(item["category_id"])
            except (ValueError, TypeError, KeyError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else error
                raise ValueError(
                    f"annotation {item.get('id', index)} of {dataset_dict.get('file_name')} cannot "
                    f"be used: {reason}. Correct or remove it"
                ) from error

        instances = Instances(image_shape)
        instances.gt_masks = BitMasks(torch.from_numpy(masks))
        instances.gt_classes = classes
        instances = instances[instances.gt_masks.nonempty()]
        instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        dataset_dict["instances"] = instances


def moved_mask(
    annotation: dict[str, Any],
    transforms: T.TransformList,
    height_width: tuple[int, int],
    new_height_width: tuple[int, int],
) -> np.ndarray:
    """Return the mask of an annotation after the augmentations of its image.

    Polygons are moved as coordinates and drawn once, at the final size: this costs least, and
    loses nothing to resampling.

    Args:
        annotation: With ``segmentation`` in one of COCO's three formats, or a per-pixel array.
        transforms: What was done to the image.
        height_width: Of the image before, in pixels.
        new_height_width: Of the image after, in pixels.

    Returns:
        (H, W) bool at the new size.

    Raises:
        ValueError: If there is no segmentation, or one that cannot be understood.
    """
    segmentation = annotation.get("segmentation")
    if segmentation is None:
        raise ValueError("it has no segmentation, and a box alone does not teach masks")
    if isinstance(segmentation, list):
        polygons = [_polygon(points) for points in segmentation]
        # apply_coords, not apply_polygons: that clips by shapely, which drawing makes unnecessary.
        moved = [transforms.apply_coords(polygon).reshape(-1) for polygon in polygons]
        return polygons_to_bitmask(moved, *new_height_width)
    mask = decode_mask(segmentation)
    if mask.shape != tuple(height_width):
        raise ValueError(
            f"its mask is {mask.shape[1]}x{mask.shape[0]} pixels, "
            f"the image {height_width[1]}x{height_width[0]}"
        )
    # A copy: a flip returns a view with negative strides.
    return np.ascontiguousarray(transforms.apply_segmentation(mask)).astype(bool)


def decode_mask(segmentation: dict[str, Any] | np.ndarray) -> np.ndarray:
    """Return a mask as pixels.

    Args:
        segmentation: COCO's RLE, compressed (``counts`` is bytes or a string) or not (a list), or
            an array (H, W) whose non-zero pixels belong to the object.

    Returns:
        (H, W) uint8, 0 or 1.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(segmentation, np.ndarray):
        if segmentation.ndim != 2:
            raise ValueError(f"its mask must have two dimensions, got {segmentation.shape}")
        return (segmentation != 0).astype(np.uint8)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError(
            "its segmentation is neither a list of polygons, nor RLE with size and counts, "
            f"nor an array of pixels, but {_excerpt(segmentation)}"
        )
    if isinstance(segmentation["counts"], list):
        height, width = segmentation["size"]
        if sum(segmentation["counts"]) != height * width:
            raise ValueError(f"its RLE counts do not add up to {height} x {width} pixels")
        segmentation = mask_util.frPyObjects(segmentation, height, width)
    return mask_util.decode(segmentation)


def _polygon(points: Any) -> np.ndarray:
    """Return the corners of a polygon, (n, 2) float64."""
    try:
        corners = np.asarray(points, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        corners = np.zeros(0)
    if len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise ValueError(
            "each of its polygons must be a list of at least three x, y pairs, "
            f"[x1, y1, x2, y2, ...], one is {_excerpt(points)}"
        )
    return corners.reshape(-1, 2)


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
