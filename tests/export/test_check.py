"""When two models agree, on instances that differ in a known way."""

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from solo.export.check import Agreement, add_image
from solo.export.runtime import Instances as Found

LIMIT = 0.051


def square(shift=0, pixels=0):
    mask = np.zeros((100, 200), dtype=bool)
    mask[20:60, 20 + shift : 60 + shift] = True
    mask.reshape(-1)[:pixels] = True
    return mask


def expected(masks, classes, scores):
    return Instances(
        (100, 200),
        pred_masks=torch.from_numpy(np.stack(masks)),
        pred_classes=torch.tensor(classes),
        scores=torch.tensor(scores),
    )


def found(masks, classes, scores):
    masks = np.stack(masks) if masks else np.zeros((0, 100, 200), dtype=bool)
    boxes = np.zeros((len(masks), 4))
    return Found(masks, boxes, np.array(classes, int), np.array(scores, np.float32))


def agreement(*results):
    total = Agreement()
    add_image(total, expected([square(), square(90)], [0, 1], [0.9, 0.4]), found(*results), LIMIT)
    return total


def test_the_same_in_another_order():
    total = agreement([square(90), square()], [1, 0], [0.4, 0.9])
    total.check()
    assert (total.images, total.instances, total.mask_error) == (1, 2, 0)


def test_errors_within_the_tolerance_are_told():
    # 2 of 20,000 pixels.
    total = agreement([square(pixels=2), square(90)], [0, 1], [0.9, 0.4005])
    total.check()
    assert total.mask_error == 2
    assert total.score_error == pytest.approx(5e-4, rel=1e-3)
    assert "2 instances on 1 images, 0 missing" in str(total)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (([square(pixels=3), square(90)], [0, 1], [0.9, 0.4]), "3 pixels of the mask, class 0"),
        (([square(), square(90)], [0, 1], [0.9, 0.402]), "missing, class 1, score 0.4000"),
        (([square(), square(90)], [0, 2], [0.9, 0.4]), "added, class 2"),
        (([square()], [0], [0.9]), "missing, class 1"),
        (([square(), square(), square(90)], [0, 0, 1], [0.9, 0.9, 0.4]), "added, class 0"),
        (([], [], []), "2 missing, added"),
    ],
)
def test_what_differs_is_told(results, words):
    with pytest.raises(ValueError, match=words):
        agreement(*results).check()


def test_what_lies_on_the_threshold_may_come_or_go():
    agreement([square(), square(90), square(10)], [0, 1, 1], [0.9, 0.4, 0.0501]).check()


def test_too_many_candidates_are_the_likely_reason():
    total = agreement([], [], [])
    total.crowded = 1
    with pytest.raises(ValueError, match="PRE_NMS_TOPK"):
        total.check()


def test_nothing_to_compare_is_no_agreement():
    with pytest.raises(ValueError, match="--images"):
        Agreement(images=3).check()
