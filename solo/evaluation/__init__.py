"""Evaluation of instance masks and boxes."""

from solo.evaluation.by_type import build_evaluator
from solo.evaluation.cityscapes import CityscapesInstanceEvaluator
from solo.evaluation.coco import COCOEvaluator
from solo.evaluation.voc import VOCInstanceEvaluator

__all__ = [
    "COCOEvaluator",
    "CityscapesInstanceEvaluator",
    "VOCInstanceEvaluator",
    "build_evaluator",
]
