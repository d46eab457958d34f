"""What SOLO and SOLOv2 say of themselves to the rest of the program: see solo.architectures."""

from detectron2.config import CfgNode

from solo.architectures import BBOX, SEGM
from solo.modeling.heads import SOLO_HEAD_REGISTRY


class Declared:
    """What is asked of the class, without a model."""

    node = "SOLO"  # of MODEL, that holds the keys
    head_registry = SOLO_HEAD_REGISTRY  # where MODEL.SOLO.HEAD is looked up, for those who check it

    @classmethod
    def tasks(cls, cfg: CfgNode) -> tuple[str, ...]:
        """Return what is predicted, and evaluated."""
        return BBOX, SEGM

    @classmethod
    def needs_masks(cls, cfg: CfgNode) -> bool:
        """Return whether training needs masks."""
        return True
