"""Data sets that solo registers with detectron2: some on import, others as the config says."""

from solo.data.datasets.cityscapes import register_cityscapes
from solo.data.datasets.coco_json import register_coco_json
from solo.data.datasets.digits import register_digits
from solo.data.datasets.voc import register_voc

register_digits()
register_cityscapes()
register_voc()

__all__ = ["register_cityscapes", "register_coco_json", "register_digits", "register_voc"]
