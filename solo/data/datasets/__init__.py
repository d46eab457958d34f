"""Data sets that solo registers with detectron2: digits on import, others as the config says."""

from solo.data.datasets.coco_json import register_coco_json
from solo.data.datasets.digits import register_digits

register_digits()

__all__ = ["register_coco_json", "register_digits"]
