"""F1 beside the mask AP: of predictions as they are shown, while AP sees them all."""

import math

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from solo.evaluation import COCOEvaluator, build_evaluator
from tests.toys import registered, square, write_records


def found_in(record, *predictions):
    """Return instances, squares of (left, top, side, class, score), at the size of a record."""
    size = record["height"], record["width"]
    masks = torch.zeros(len(predictions), *size, dtype=torch.bool)
    for mask, (left, top, side, *_) in zip(masks, predictions, strict=True):
        mask[top : top + side, left : left + side] = True
    return Instances(
        size,
        pred_boxes=Boxes(torch.zeros(len(predictions), 4)),
        pred_masks=masks,
        pred_classes=torch.tensor([item[3] for item in predictions], dtype=torch.int64),
        scores=torch.tensor([item[4] for item in predictions]),
    )


def evaluate(evaluator, records, found, ids=None):
    evaluator.reset()
    for record, instances in zip(records, found, strict=True):
        evaluator.process([record], [{"instances": instances}])
    return evaluator.evaluate(ids)


@pytest.fixture
def records(tmp_path):
    """Two images of two squares each, one of the second a crowd."""
    records = write_records(tmp_path, [[square(4, 4, 12), square(24, 8, 10, 1)]] * 2)
    records[1]["annotations"][1] = dict(records[1]["annotations"][1], iscrowd=1)
    return records


# A second label of the first square, better than what finds the other one.
SEEN = ((4, 4, 12, 0, 0.9), (4, 4, 12, 2, 0.8), (24, 8, 10, 1, 0.6))


def test_second_labels_and_crowds_count_neither_for_nor_against(records):
    found = [found_in(record, *SEEN) for record in records]
    with registered(records) as name:
        tables = evaluate(build_evaluator(name, None), records, found)
        plain = evaluate(COCOEvaluator(name), records, found)
    assert tables["segm"].pop("F1") == pytest.approx(100)
    assert 0 < tables["segm"].pop("threshold") <= 0.6
    assert tables.keys() == plain.keys() and tables["segm"] == pytest.approx(
        plain["segm"], nan_ok=True
    )


def test_what_is_missed_and_what_is_wrong_count(records):
    found = [found_in(record, (4, 4, 12, 2, 0.9)) for record in records]
    found[0] = found_in(records[0], (24, 8, 10, 1, 0.9))
    with registered(records) as name:
        table = evaluate(build_evaluator(name, None), records, found)["segm"]
    assert table["F1"] == pytest.approx(100 * 2 * 1 / (2 + 3))


def test_some_images_alone_and_nothing_found(records):
    found = [found_in(record, *SEEN) for record in records]
    with registered(records) as name:
        table = evaluate(
            build_evaluator(name, None), records[:1], found[:1], [records[0]["image_id"]]
        )
        assert table["segm"]["F1"] == pytest.approx(100)
        # Of the other image nothing is found.
        table = evaluate(build_evaluator(name, None), records[:1], found[:1])["segm"]
        assert table["F1"] == pytest.approx(100 * 2 * 2 / (2 + 3))
        table = evaluate(build_evaluator(name, None), records, [found_in(r) for r in records])[
            "segm"
        ]
        assert table["F1"] == 0 and math.isnan(table["threshold"])
    assert np.isfinite(table["AP"])
