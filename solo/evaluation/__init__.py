"""Evaluation of instance masks and boxes."""

from solo.evaluation.coco import COCOEvaluator, build_evaluator

__all__ = ["COCOEvaluator", "build_evaluator"]
