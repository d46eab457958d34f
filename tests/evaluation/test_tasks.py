"""Boxes alone: a model or a data set without masks."""

import logging

import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, Instances

from solo.errors import UserError
from solo.evaluation import COCOEvaluator, build_evaluator
from solo.evaluation.tasks import boxes_only, evaluated_tasks
from solo.inference.datasets import best_metric_name
from tests.box_finder import box_cfg
from tests.conftest import make_cfg
from tests.toys import registered, square, write_records


def boxed(*boxes):
    """Annotations of XYXY boxes, (left, top, right, bottom, class), without masks."""
    return [{"bbox": box[:4], "bbox_mode": 0, "category_id": box[4]} for box in boxes]


def found_in(record, *predictions):
    boxes = torch.tensor([one[:4] for one in predictions], dtype=torch.float32).reshape(-1, 4)
    return Instances(
        (record["height"], record["width"]),
        pred_boxes=Boxes(boxes),
        pred_classes=torch.tensor([one[4] for one in predictions], dtype=torch.int64),
        scores=torch.tensor([one[5] for one in predictions]),
    )


def evaluate(evaluator, records, found):
    evaluator.reset()
    for record, instances in zip(records, found, strict=True):
        evaluator.process([record], [{"instances": instances}])
    return evaluator.evaluate()


@pytest.fixture
def records(tmp_path):
    """Two images; the second has a crowd."""
    objects = boxed((4.5, 4.25, 16.75, 20.5, 0), (30, 8, 40.5, 18, 1))
    records = write_records(tmp_path, [objects, objects])
    records[1]["annotations"][1] = dict(objects[1], iscrowd=1)
    return records


def test_boxes_have_the_tables_of_boxes_and_the_best_threshold(records):
    # A second label of the first object, one of another size, and one that lies in the crowd.
    seen = (
        (4.5, 4.25, 16.75, 20.5, 0, 0.9),
        (4.5, 4.25, 16.75, 20, 2, 0.8),
        (30, 8, 40.5, 13, 1, 0.6),
    )
    with registered(records) as name:
        evaluator = build_evaluator(name, None, ("bbox",))
        results = evaluate(evaluator, records, [found_in(record, *seen) for record in records])
    assert list(results) == ["bbox"]
    assert results["bbox"]["AP-red"] == pytest.approx(100)
    # Half of the second object: found, at an IoU of a half.
    assert results["bbox"]["AP-green"] == pytest.approx(10)
    assert results["bbox"]["F1"] == pytest.approx(100)
    assert 0 < results["bbox"]["threshold"] <= 0.6


def test_what_is_missed_and_what_is_wrong_count(records):
    with registered(records) as name:
        seen = [(4.5, 4.25, 16.75, 20.5, 0, 0.9), (50, 30, 60, 40, 0, 0.8)]
        found = [found_in(records[0], *seen), found_in(records[1])]
        results = evaluate(build_evaluator(name, None, ("bbox",)), records, found)
    # Of thresholds, as good as the best one but for two predictions, the middle one shows both.
    assert results["bbox"]["F1"] == pytest.approx(100 * 2 * 1 / (2 + 3))


def test_data_without_masks_are_evaluated_by_boxes_which_is_said_once(records, caplog):
    with registered(records) as name:
        with caplog.at_level(logging.WARNING):
            evaluators = [COCOEvaluator(name), build_evaluator(name, None)]
        assert [one.message for one in caplog.records] == [
            f"{name} has no masks: only boxes are evaluated"
        ]
        found = [found_in(record, (4.5, 4.25, 16.75, 20.5, 0, 0.9)) for record in records]
        for instances in found:  # a model that makes masks
            instances.pred_masks = torch.zeros(1, 48, 64, dtype=torch.bool)
            instances.pred_masks[:, 4:20, 5:17] = True
        for evaluator in evaluators:
            assert list(evaluate(evaluator, records, found)) == ["bbox"]
        with pytest.raises(UserError, match="has boxes only, so that masks cannot be evaluated"):
            COCOEvaluator(name, tasks=("segm",))
        assert evaluated_tasks(name, ("bbox", "segm")) == ("bbox",)


def test_the_best_metric_is_that_of_what_is_evaluated(records, tmp_path):
    (tmp_path / "masks").mkdir()
    masked = write_records(tmp_path / "masks", [[square(4, 4, 12)]])
    with registered(records) as boxes, registered(masked) as masks:
        for cfg, datasets, metric in (
            (make_cfg(), (masks,), "segm/AP"),
            (make_cfg(), (boxes,), "bbox/AP"),
            (make_cfg(), (masks, boxes), f"{masks}/segm/AP"),
            (make_cfg(), ("of_nobody",), "segm/AP"),  # whoever evaluates on it says so
            (box_cfg(), (masks,), "bbox/AP"),
            (box_cfg(), (boxes, masks), f"{boxes}/bbox/AP"),
        ):
            cfg.DATASETS.TEST = datasets
            assert best_metric_name(cfg) == metric
            # What is not evaluated cannot be chosen.
            cfg.TEST.BOUNDARY_AP, cfg.TEST.BEST_METRIC = True, "boundary/AP"
            assert best_metric_name(cfg) == metric.replace("segm", "boundary")


def test_some_masks_are_enough_to_miss_the_others(records):
    assert boxes_only(records) and not boxes_only([])
    records[1]["annotations"][0]["segmentation"] = [[4, 4, 16, 4, 16, 20]]
    assert not boxes_only(records)
    with (
        registered(records) as name,
        pytest.raises(UserError, match="annotation 1 has no segmentation"),
    ):
        COCOEvaluator(name)


def test_an_ap_that_the_evaluator_of_a_data_set_does_not_give_is_not_chosen():
    cfg = make_cfg()
    cfg.TEST.BOUNDARY_AP = True
    with registered([]) as name:
        cfg.DATASETS.TEST = (name,)
        MetadataCatalog.get(name).evaluator_type = "cityscapes_instance"
        for metric in ("", "segm/AP", "boundary/AP"):
            cfg.TEST.BEST_METRIC = metric
            assert best_metric_name(cfg) == (metric or "segm/AP")
        cfg.TEST.BEST_METRIC = "bbox/AP"
        with pytest.raises(
            UserError, match=f"but {name} is evaluated by segm and boundary: choose"
        ):
            best_metric_name(cfg)
