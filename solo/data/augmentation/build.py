"""From the keys under INPUT to augmentations; each value is checked here, once."""

import logging
from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T

from solo.data.augmentation.color import ColorJitter
from solo.data.augmentation.copy_paste import CopyPaste
from solo.data.augmentation.geometry import CropOrPad, KeepingCrop, ResizeForTest, ScaleJitter
from solo.data.augmentation.mixup import Mixup
from solo.data.augmentation.mosaic import Mosaic
from solo.data.augmentation.multi_image import MultiImage
from solo.data.augmentation.sample import Visibility
from solo.errors import UserError, told_as

logger = logging.getLogger(__name__)


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
        size = _size("INPUT.JITTER.IMAGE_SIZE", node.JITTER.IMAGE_SIZE)
        scales = _range("INPUT.JITTER.SCALE_RANGE", node.JITTER.SCALE_RANGE, above=0)
        # In place of the shortest edge.
        augmentations[0] = ScaleJitter(size, scales)
    if node.CROP.ENABLED:
        augmentations.insert(0, _crop(node.CROP))
    if vertical := _share("INPUT.VERTICAL_FLIP_PROB", node.VERTICAL_FLIP_PROB):
        augmentations.append(T.RandomFlip(vertical, horizontal=False, vertical=True))
    if prob := _share("INPUT.COLOR_JITTER.PROB", node.COLOR_JITTER.PROB):
        augmentations.append(T.RandomApply(_color_jitter(cfg), prob))
    if node.JITTER.ENABLED:
        # Last, so that the padding keeps its colour.
        augmentations.append(CropOrPad(size, _pad_value(cfg)))
    return augmentations


def build_test_resize(cfg: CfgNode) -> T.Augmentation:
    """Return how evaluation and inference resize images.

    Args:
        cfg: The config; INPUT.MIN_SIZE_TEST and MAX_SIZE_TEST matter.
    """
    return ResizeForTest(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)


def build_visibility(cfg: CfgNode) -> Visibility:
    """Return the rule by which objects are dropped that show too little.

    Raises:
        UserError: If a value is out of its range; names the key.
    """
    area, share = cfg.INPUT.MIN_VISIBLE_AREA, cfg.INPUT.MIN_VISIBLE_SHARE
    if area < 1:
        raise UserError(f"INPUT.MIN_VISIBLE_AREA is {area}: give the pixels, at least 1")
    return Visibility(area, _share("INPUT.MIN_VISIBLE_SHARE", share))


def build_multi_image(cfg: CfgNode) -> MultiImage | None:
    """Return the augmentations that combine images; None if none of them is on.

    Args:
        cfg: The config; INPUT, MODEL.PIXEL_MEAN, SOLVER.MAX_ITER and SOLVER.IMS_PER_BATCH matter.

    Raises:
        UserError: If a value is out of its range; names the key.
    """
    mosaic, copy_paste, mixup = _mosaic(cfg), _copy_paste(cfg), _mixup(cfg)
    off = cfg.INPUT.MULTI_IMAGE_OFF_ITERS
    if off < 0:
        raise UserError(f"INPUT.MULTI_IMAGE_OFF_ITERS is {off}: give iterations, 0 or more")
    if not mosaic.prob + copy_paste.prob + mixup.prob:
        return None
    _check_colors(cfg, "INPUT.MOSAIC, INPUT.COPY_PASTE and INPUT.MIXUP")
    end = (cfg.SOLVER.MAX_ITER - off) * cfg.SOLVER.IMS_PER_BATCH
    multi_image = MultiImage(mosaic, copy_paste, mixup, end)
    logger.info("Augmentations of several images: %s", multi_image)
    return multi_image


def _mosaic(cfg: CfgNode) -> Mosaic:
    node = cfg.INPUT.MOSAIC
    if cfg.INPUT.JITTER.ENABLED:
        resize = T.Resize(_size("INPUT.JITTER.IMAGE_SIZE", cfg.INPUT.JITTER.IMAGE_SIZE))
    else:
        resize = T.ResizeShortestEdge(
            cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING
        )
    prob = _share("INPUT.MOSAIC.PROB", node.PROB)
    return Mosaic(
        prob=prob,
        cut_range=_range("INPUT.MOSAIC.CUT_RANGE", node.CUT_RANGE, most=1),
        scale_range=_range("INPUT.MOSAIC.SCALE_RANGE", node.SCALE_RANGE, above=0),
        resize=resize,
        pad_value=_pad_value(cfg) if prob else (),
    )


def _copy_paste(cfg: CfgNode) -> CopyPaste:
    node = cfg.INPUT.COPY_PASTE
    if node.MAX_OBJECTS < 1:
        raise UserError(f"INPUT.COPY_PASTE.MAX_OBJECTS is {node.MAX_OBJECTS}: give 1 or more")
    if node.SOFT_EDGE < 0:
        raise UserError(f"INPUT.COPY_PASTE.SOFT_EDGE is {node.SOFT_EDGE}: give pixels, 0 or more")
    return CopyPaste(
        prob=_share("INPUT.COPY_PASTE.PROB", node.PROB),
        max_objects=node.MAX_OBJECTS,
        same_image_prob=_share("INPUT.COPY_PASTE.SAME_IMAGE_PROB", node.SAME_IMAGE_PROB),
        soft_edge=node.SOFT_EDGE,
    )


def _mixup(cfg: CfgNode) -> Mixup:
    node = cfg.INPUT.MIXUP
    return Mixup(
        prob=_share("INPUT.MIXUP.PROB", node.PROB),
        weight_range=_range("INPUT.MIXUP.WEIGHT_RANGE", node.WEIGHT_RANGE, most=1),
    )


def _crop(node: CfgNode) -> T.Augmentation:
    share = _share("INPUT.CROP.MIN_KEPT_SHARE", node.MIN_KEPT_SHARE)
    if share:
        return KeepingCrop(node.TYPE, node.SIZE, share)
    return T.RandomCrop(node.TYPE, node.SIZE)


def _color_jitter(cfg: CfgNode) -> ColorJitter:
    _check_colors(cfg, "INPUT.COLOR_JITTER")
    node = cfg.INPUT.COLOR_JITTER
    return ColorJitter(
        brightness=_share("INPUT.COLOR_JITTER.BRIGHTNESS", node.BRIGHTNESS),
        contrast=_share("INPUT.COLOR_JITTER.CONTRAST", node.CONTRAST),
        saturation=_share("INPUT.COLOR_JITTER.SATURATION", node.SATURATION),
        hue=_share("INPUT.COLOR_JITTER.HUE", node.HUE, most=0.5),
        image_format=cfg.INPUT.FORMAT,
    )


def _pad_value(cfg: CfgNode) -> tuple[int, ...]:
    """Return the colour of pixels that no image covers, in the order of INPUT.FORMAT."""
    _check_colors(cfg, "padding")
    value = cfg.INPUT.PAD_VALUE
    if value and (len(value) != 3 or min(value) < 0 or max(value) > 255):
        raise UserError(
            f"INPUT.PAD_VALUE is {value}: give three numbers from 0 to 255 in the order of "
            f"INPUT.FORMAT, which is {cfg.INPUT.FORMAT}, or [] for MODEL.PIXEL_MEAN"
        )
    return tuple(round(number) for number in value or cfg.MODEL.PIXEL_MEAN)


def _check_colors(cfg: CfgNode, what: str) -> None:
    if cfg.INPUT.FORMAT not in ("RGB", "BGR"):
        raise UserError(
            f"INPUT.FORMAT is {cfg.INPUT.FORMAT!r}, but {what} can only work on images in RGB or BGR"
        )


def _share(key: str, value: float, most: float = 1.0) -> float:
    if not 0 <= value <= most:
        raise UserError(f"{key} is {value}: give a number from 0 to {most:g}")
    return float(value)


def _range(
    key: str, values: Sequence[float], *, above: float | None = None, most: float | None = None
) -> tuple[float, float]:
    """Return (low, high), checked: low > above, else low >= 0; high <= most."""
    fits = len(values) == 2 and 0 <= values[0] <= values[1]
    if above is not None:
        fits = fits and values[0] > above
    if most is not None:
        fits = fits and values[1] <= most
    if not fits:
        least = "0" if above is None else f"above {above:g}"
        limit = "" if most is None else f", at most {most:g}"
        raise UserError(f"{key} is {values}: give [low, high], {least} or more{limit}")
    return float(values[0]), float(values[1])


def _size(key: str, values: Sequence[int]) -> tuple[int, int]:
    if len(values) != 2 or min(values) < 1:
        raise UserError(f"{key} is {values}: give [height, width] in pixels")
    return int(values[0]), int(values[1])
