"""From the keys under INPUT to augmentations."""

import logging

from detectron2.config import CfgNode
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T

from solo.data.augmentation.affine import Affine
from solo.data.augmentation.color import ColorJitter
from solo.data.augmentation.copy_paste import CopyPaste
from solo.data.augmentation.geometry import (
    Crop,
    CropOrPad,
    KeepingCrop,
    ResizeShortestEdge,
    ScaleJitter,
)
from solo.data.augmentation.mixup import Mixup
from solo.data.augmentation.mosaic import Mosaic
from solo.data.augmentation.multi_image import MultiImage, Step
from solo.data.augmentation.sample import Visibility
from solo.data.augmentation.values import check_colors, pad_value, range_of, share_of, size_of
from solo.errors import UserError, told_as

logger = logging.getLogger(__name__)

# Augmentations of several images, in the order in which they act: the mosaic reads its images itself.
_STEPS: tuple[type[Step], ...] = (Mosaic, CopyPaste, Mixup)


def build_augmentations(cfg: CfgNode) -> list[T.Augmentation]:
    """Return the augmentations of one image for training, in detectron2's form and order.

    Args:
        cfg: The config; INPUT matters, and MODEL.PIXEL_MEAN for padding.

    Raises:
        UserError: If a value is out of its range; names the key.
    """
    node = cfg.INPUT
    if not node.MIN_SIZE_TRAIN:
        raise UserError("INPUT.MIN_SIZE_TRAIN is empty: give pixels of the shorter side")
    with told_as("INPUT in the config cannot be used"):
        augmentations = utils.build_augmentation(cfg, is_train=True)
    if node.JITTER.ENABLED:
        size = size_of("INPUT.JITTER.IMAGE_SIZE", node.JITTER.IMAGE_SIZE)
        scales = range_of("INPUT.JITTER.SCALE_RANGE", node.JITTER.SCALE_RANGE, above=0)
        augmentations[0] = ScaleJitter(size, scales)
    else:
        augmentations[0] = ResizeShortestEdge(
            node.MIN_SIZE_TRAIN, node.MAX_SIZE_TRAIN, node.MIN_SIZE_TRAIN_SAMPLING
        )
    if node.CROP.ENABLED:
        augmentations.insert(0, _crop(node.CROP))
    if vertical := share_of("INPUT.VERTICAL_FLIP_PROB", node.VERTICAL_FLIP_PROB):
        augmentations.append(T.RandomFlip(vertical, horizontal=False, vertical=True))
    if prob := share_of("INPUT.COLOR_JITTER.PROB", node.COLOR_JITTER.PROB):
        augmentations.append(T.RandomApply(_color_jitter(cfg), prob))
    if node.JITTER.ENABLED:
        # Last, so that the padding keeps its colour.
        augmentations.append(CropOrPad(size, pad_value(cfg)))
    if affine := Affine.from_config(cfg):
        augmentations.append(affine)
    return augmentations


def build_test_resize(cfg: CfgNode) -> T.Augmentation:
    """Return how evaluation and inference resize images.

    Args:
        cfg: The config; INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST matter.
    """
    return ResizeShortestEdge(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST, "choice")


def build_visibility(cfg: CfgNode) -> Visibility:
    """Return the rule by which objects are dropped that show too little.

    Raises:
        UserError: If a value is out of its range; names the key.
    """
    area, share = cfg.INPUT.MIN_VISIBLE_AREA, cfg.INPUT.MIN_VISIBLE_SHARE
    if area < 1:
        raise UserError(f"INPUT.MIN_VISIBLE_AREA is {area}: give the pixels, at least 1")
    return Visibility(area, share_of("INPUT.MIN_VISIBLE_SHARE", share))


def build_multi_image(cfg: CfgNode) -> MultiImage | None:
    """Return the augmentations that combine images; None if none of them is on.

    Args:
        cfg: The config; INPUT, MODEL.PIXEL_MEAN, SOLVER.MAX_ITER and SOLVER.IMS_PER_BATCH matter.

    Raises:
        UserError: If a value is out of its range; names the key.
    """
    steps = tuple(step.from_config(cfg) for step in _STEPS)
    off = cfg.INPUT.MULTI_IMAGE_OFF_ITERS
    if off < 0:
        raise UserError(f"INPUT.MULTI_IMAGE_OFF_ITERS is {off}: give iterations, 0 or more")
    multi_image = MultiImage(steps, (cfg.SOLVER.MAX_ITER - off) * cfg.SOLVER.IMS_PER_BATCH)
    if not multi_image.keys:
        return None
    check_colors(cfg, multi_image.keys)
    logger.info("Augmentations of several images: %s", multi_image)
    return multi_image


def _crop(node: CfgNode) -> T.Augmentation:
    if share := share_of("INPUT.CROP.MIN_KEPT_SHARE", node.MIN_KEPT_SHARE):
        return KeepingCrop(node.TYPE, node.SIZE, share)
    return Crop(node.TYPE, node.SIZE)


def _color_jitter(cfg: CfgNode) -> ColorJitter:
    check_colors(cfg, "INPUT.COLOR_JITTER")
    node = cfg.INPUT.COLOR_JITTER
    return ColorJitter(
        brightness=share_of("INPUT.COLOR_JITTER.BRIGHTNESS", node.BRIGHTNESS),
        contrast=share_of("INPUT.COLOR_JITTER.CONTRAST", node.CONTRAST),
        saturation=share_of("INPUT.COLOR_JITTER.SATURATION", node.SATURATION),
        hue=share_of("INPUT.COLOR_JITTER.HUE", node.HUE, most=0.5),
        image_format=cfg.INPUT.FORMAT,
    )
