"""Data sets that solo registers with detectron2: some on import, others as the config says."""

from solo.data.formats.cityscapes import register_cityscapes
from solo.data.formats.coco_json import register_coco_json
from solo.data.formats.digits import register_digits
from solo.data.formats.voc import register_voc

register_digits()
register_cityscapes()
register_voc()

__all__ = ["register_cityscapes", "register_coco_json", "register_digits", "register_voc"]
