"""Progressive resizing: training begins on smaller images, which cost less, and ends on those of the full size."""

import logging
from typing import NamedTuple

from detectron2.config import CfgNode

from solo.data.augmentation.build import build_multi_image
from solo.data.augmentation.multi_image import MultiImage
from solo.data.augmentation.values import share_of
from solo.data.mapper import SOLODatasetMapper
from solo.errors import UserError

logger = logging.getLogger(__name__)
_KEY = "INPUT.PROGRESSIVE"


class SmallFirst(NamedTuple):
    """What maps the records of the first iterations.

    Attributes:
        mapper: To images of a smaller size.
        multi_image: What combines them.
        end: The first position of the run, as the sampler counts them, that has the full size: a function of the
            position needs no word to worker processes, nor to a resumed run.
    """

    mapper: SOLODatasetMapper
    multi_image: MultiImage | None
    end: int


def build_small_first(cfg: CfgNode) -> SmallFirst | None:
    """Return how training begins; None where all of it is at the full size.

    Args:
        cfg: The config; INPUT, SOLVER.MAX_ITER and SOLVER.IMS_PER_BATCH matter.

    Raises:
        UserError: If a value is out of its range; names the key.
    """
    node = cfg.INPUT.PROGRESSIVE
    share = share_of(f"{_KEY}.SHARE", node.SHARE)
    if not 0 < node.SCALE <= 1:
        raise UserError(
            f"{_KEY}.SCALE is {node.SCALE}: give a share of the size, above 0 and up to 1"
        )
    if not share:
        return None
    iterations = round(share * cfg.SOLVER.MAX_ITER)
    logger.info(
        "%d iterations on images of %g times the size, then of all of it.", iterations, node.SCALE
    )
    small, end = _smaller(cfg), iterations * cfg.SOLVER.IMS_PER_BATCH
    return SmallFirst(SOLODatasetMapper(small, True), build_multi_image(small), end)


def _smaller(cfg: CfgNode) -> CfgNode:
    """Return the config with smaller images; crops are of the image before it is resized."""
    cfg = cfg.clone()
    cfg.defrost()
    node, scale = cfg.INPUT, cfg.INPUT.PROGRESSIVE.SCALE
    node.MIN_SIZE_TRAIN = tuple(_scaled(size, scale) for size in node.MIN_SIZE_TRAIN)
    node.MAX_SIZE_TRAIN = _scaled(node.MAX_SIZE_TRAIN, scale)
    node.JITTER.IMAGE_SIZE = [_scaled(size, scale) for size in node.JITTER.IMAGE_SIZE]
    return cfg


def _scaled(size: int, scale: float) -> int:
    """Return a smaller size; 0, which is of images that are not resized, has none."""
    if not size:
        raise UserError(
            f"{_KEY} needs a size: INPUT.MIN_SIZE_TRAIN has a 0, by which images stay as they are"
        )
    return max(1, round(size * scale))
