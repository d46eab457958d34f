import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from solo.evaluation import VOCInstanceEvaluator
from solo.evaluation.voc import average_precision, match_masks
from solo.structures.run_lengths import encode_masks

SIZE = (20, 40)


def rectangle(left, right, top=0, bottom=20):
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def rle_of(mask):
    rle = mask_util.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def record(image_id, objects, void=None):
    """Objects are (class, mask)."""
    annotations = [{"category_id": c, "segmentation": rle_of(mask)} for c, mask in objects]
    result = {"image_id": image_id, "annotations": annotations}
    return result if void is None else {**result, "void": rle_of(void)}


def detections(*found):
    """Found are (class, score, mask)."""
    instances = Instances(SIZE)
    instances.pred_classes = torch.tensor([c for c, _, _ in found], dtype=torch.int64)
    instances.scores = torch.tensor([score for _, score, _ in found])
    masks = np.stack([mask for _, _, mask in found]) if found else np.zeros((0, *SIZE), bool)
    instances.pred_masks = torch.from_numpy(masks)
    return instances


@pytest.fixture
def evaluate():
    def run(records, predictions):
        DatasetCatalog.register("toy_voc", lambda: records)
        MetadataCatalog.get("toy_voc").set(thing_classes=["cat", "dog", "cow"])
        evaluator = VOCInstanceEvaluator("toy_voc")
        for image_id, instances in predictions.items():
            evaluator.process([{"image_id": image_id}], [{"instances": instances}])
        return evaluator.evaluate()["voc"]

    yield run
    if "toy_voc" in DatasetCatalog:
        DatasetCatalog.remove("toy_voc")
        MetadataCatalog.remove("toy_voc")


def test_average_precision_by_hand():
    # Hits at ranks 1, 3 and 4 of 5; four objects. Precision there: 1, 2/3, 3/4, made monotonous:
    # 1, 3/4, 3/4. Each step of recall is 1/4.
    scores = np.array([0.2, 0.9, 0.6, 0.8, 0.5])
    hits = np.array([False, True, True, False, True])
    assert average_precision(scores, hits, 4) == pytest.approx((1 + 0.75 + 0.75) / 4)
    assert average_precision(scores, hits & False, 4) == 0
    assert average_precision(scores[:0], hits[:0], 4) == 0


def test_an_object_is_found_once_by_the_best_score():
    ious = np.array([[0.85, 0.0], [0.95, 0.0], [0.45, 0.4]])
    hits = match_masks(ious, np.array([0.5, 0.9, 0.95]))
    # 0.1 ... 0.9: the third comes first and takes object 0 up to 0.4; then the second.
    assert hits[2].tolist() == [True] * 4 + [False] * 5
    assert hits[1].tolist() == [False] * 4 + [True] * 5
    assert not hits[0].any()
    assert match_masks(np.zeros((2, 0)), np.ones(2)).shape == (2, 9)


def test_numbers_by_hand(evaluate):
    records = [
        record(1, [(0, rectangle(0, 10)), (1, rectangle(20, 40))]),
        record(2, [(0, rectangle(0, 20))]),
    ]
    predictions = {
        1: detections(
            (0, 0.9, rectangle(0, 6)),  # IoU 0.6 with the cat
            (0, 0.8, rectangle(30, 40)),  # a cat where the dog is
            (1, 0.7, rectangle(20, 40)),  # the dog
            (2, 0.6, rectangle(0, 10)),  # a cow, which nobody annotated
        ),
        2: detections((0, 0.3, rectangle(0, 20))),
    }
    results = evaluate(records, predictions)
    # Cats at 0.5: hit, miss, hit of two: precisions 1 and 2/3, half of the recall each.
    assert results["APr50-cat"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    # At 0.7 the first is a miss: one hit at rank 3, half of the recall.
    assert results["APr70-cat"] == pytest.approx(100 * (1 / 3) / 2)
    assert results["APr50-dog"] == results["APr70-dog"] == 100
    assert np.isnan(results["APr50-cow"])
    assert results["APr50"] == pytest.approx((results["APr50-cat"] + 100) / 2)
    # Cats are as at 0.5 up to 0.6, and as at 0.7 from there on.
    cats = (6 * results["APr50-cat"] + 3 * results["APr70-cat"]) / 9
    assert results["APr_vol"] == pytest.approx((cats + 100) / 2)


def test_void_pixels_do_not_count(evaluate):
    cat = rectangle(0, 10)
    found = {1: detections((0, 0.9, rectangle(0, 20)))}  # IoU 0.5, or 1 without the void
    assert evaluate([record(1, [(0, cat)], void=rectangle(10, 20))], found)["APr70-cat"] == 100


def test_void_is_what_made_the_difference(evaluate):
    found = {1: detections((0, 0.9, rectangle(0, 20)))}
    results = evaluate([record(1, [(0, rectangle(0, 10))])], found)
    assert (results["APr50-cat"], results["APr70-cat"]) == (100, 0)


def test_nothing_found_and_nothing_to_find(evaluate):
    records = [record(1, [(0, rectangle(0, 10))]), record(2, [], void=rectangle(0, 5))]
    results = evaluate(records, {1: detections(), 2: detections()})
    assert results["APr50"] == results["APr50-cat"] == 0
    assert np.isnan(results["APr50-dog"])


def test_rles_and_several_workers(evaluate, monkeypatch):
    records = [record(1, [(0, rectangle(0, 10))]), record(2, [(0, rectangle(0, 20))])]
    predictions = {
        1: detections((0, 0.5, rectangle(0, 9))),
        2: detections((0, 0.9, rectangle(0, 2)), (0, 0.4, rectangle(0, 20))),
    }
    expected = evaluate(records, predictions)
    workers = [VOCInstanceEvaluator("toy_voc"), VOCInstanceEvaluator("toy_voc")]
    for worker, (image_id, instances) in zip(workers, predictions.items(), strict=True):
        instances.pred_rles = encode_masks(instances.pred_masks)
        instances.remove("pred_masks")
        worker.process([{"image_id": image_id}], [{"instances": instances}])
    module = "solo.evaluation.voc.comm"
    monkeypatch.setattr(f"{module}.gather", lambda part: [part, workers[1]._found])
    assert workers[0].evaluate()["voc"] == pytest.approx(expected, nan_ok=True)
    assert 0 < expected["APr50"] < 100
    monkeypatch.setattr(f"{module}.is_main_process", lambda: False)
    assert workers[1].evaluate() is None
