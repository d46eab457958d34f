"""From a record of a data set to what the model takes: the moved image, and exact masks or boxes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from PIL import Image

from solo.architectures import needs_masks
from solo.data.augmentation.build import build_augmentations, build_test_resize, build_visibility
from solo.data.augmentation.geometry import RESIZING, FastResizeTransform, fitting_size
from solo.data.augmentation.sample import Sample, Visibility
from solo.data.reading import read_reduced
from solo.data.scene import Scene
from solo.data.vanished import VanishedObjects
from solo.errors import UserError, told_as
from solo.images import MAX_PIXELS, UnreadableImageError, check_size, read_image


class SOLODatasetMapper(DatasetMapper):
    """Map a record to a training or test item, as detectron2's mapper does, but for masks and boxes.

    Polygons, RLE (compressed or not) and per-pixel masks may be mixed in a data set: training
    always gets ``BitMasks``, and ``INPUT.MASK_FORMAT`` has no say. Boxes are the tight bounds of
    the moved masks, which an annotated box is not after a crop or a rotation. For a model that needs no
    masks there are none: boxes are the annotated ones, moved, to a fraction of a pixel.

    ``augmentations`` are those of detectron2, or users' own. They may ask for ``regions``, the
    objects' masks, as they may for the ``image``.
    """

    @configurable
    def __init__(
        self,
        is_train: bool,
        *,
        visibility: Visibility | None = None,
        max_pixels: int = MAX_PIXELS,
        boxes_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Take what detectron2's mapper takes; `boxes_only` says whether masks are used.

        Args:
            is_train: Whether to hand out annotations.
            visibility: Which objects to keep. None: all that have a pixel left.
            max_pixels: Of an image that is read.
            boxes_only: Whether items have no masks, and boxes suffice.
            **kwargs: Of ``detectron2.data.DatasetMapper``.
        """
        super().__init__(is_train, **kwargs)
        self.visibility = visibility or Visibility()
        self.max_pixels = max_pixels
        self.boxes_only = boxes_only
        self._vanished = VanishedObjects()
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
        arguments["max_pixels"] = cfg.INPUT.MAX_PIXELS
        if is_train:
            arguments["augmentations"] = build_augmentations(cfg)
            arguments["visibility"] = build_visibility(cfg)
        else:
            arguments["augmentations"] = [build_test_resize(cfg)]
        arguments["boxes_only"] = not needs_masks(cfg)
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
            ``instances`` with ``gt_masks`` and their ``gt_measures``, unless boxes suffice, ``gt_boxes`` and
            ``gt_classes``, without crowds and without objects that left the image; there may be none.

        Raises:
            UnreadableImageError: If the image file cannot be read.
            WrongSizeError: If it has another size than the record says.
            UserError: If an annotation is not what the record says; names the file.
        """
        if self.is_train:
            record = dict(dataset_dict)
            return self.item(record, self.sample(record))
        unused = ("annotations", "sem_seg_file_name")
        item = {key: value for key, value in dataset_dict.items() if key not in unused}
        with _advised():
            image = read_image(item["file_name"], self.image_format, self.max_pixels)
            check_size(item, image.shape[:2])
        seen = T.AugInput(image)
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
            WrongSizeError: As ``__call__``.
            UserError: As ``__call__``.
        """
        source = record["file_name"], self.image_format
        with _advised():
            if fit is None:
                image = read_image(*source, self.max_pixels)
                size, augmentations = image.shape[:2], self.augmentations
            else:
                image, size = read_reduced(*source, fit, self.max_pixels)
                resize = FastResizeTransform(*size, *fitting_size(size, fit))
                augmentations = T.AugmentationList([resize, *self._of_parts])
            check_size(record, size)
        own_areas = self.visibility.min_share > 0
        scene = Scene(image, size, record, own_areas=own_areas, boxes_only=self.boxes_only)
        augmentations(scene)
        self._vanished.count(len(scene.regions), scene.vanished)
        return Sample(scene.image, self.visibility(scene.regions))

    def item(self, record: dict[str, Any], sample: Sample) -> dict[str, Any]:
        """Return the training item of a record whose image became a sample.

        Visibility is asked again: what other images cover, or windows cut off, is known now only.
        """
        item = {key: value for key, value in record.items() if key != "annotations"}
        item["image"] = _as_tensor(sample.image)
        seen = replace(sample, regions=self.visibility(sample.regions))
        item["instances"] = seen.instances(with_masks=not self.boxes_only)
        return item


def _as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))


@contextmanager
def _advised() -> Iterator[None]:
    """Say what to do about an image that cannot be read."""
    try:
        yield
    except UnreadableImageError as error:
        raise UnreadableImageError(
            f"{error} Restore the file, or remove it from the annotations"
        ) from error
