"""Boundary AP beside a naive loop: erosion step by step as the official code does it, all pairs, pycocotools' rules."""

import json

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.structures import Boxes, Instances
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from solo.errors import UserError
from solo.evaluation import COCOEvaluator, build_evaluator
from solo.evaluation.boundary import boundary_of, boundary_width
from tests.toys import registered

SIZE = (90, 140)  # boundaries are 3 pixels wide
MASKS = ("bbox", "segm")
ALL = (*MASKS, "boundary")


def rle_of(mask):
    return mask_util.encode(np.asfortranarray(mask, dtype=np.uint8))


def naive_boundary(mask):
    """Return the boundary of a (H, W) mask, pixel ring after pixel ring."""
    height, width = mask.shape
    inner = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    for _ in range(max(1, round(0.02 * np.sqrt(height**2 + width**2)))):
        inner = cv2.erode(inner, np.ones((3, 3), dtype=np.uint8))
    return mask & (inner[1:-1, 1:-1] == 0)


def iou(first, second):
    return (first & second).sum() / max((first | second).sum(), 1)


def ellipse(rng, size=SIZE):
    """Return an ellipse, which may be cut off by the frame, with a hole now and then."""
    height, width = size
    ys, xs = np.mgrid[:height, :width]
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    ry, rx = np.exp(rng.uniform(np.log(3), np.log(max(height / 2, 4)), 2))
    distance = ((ys - y) / ry) ** 2 + ((xs - x) / rx) ** 2
    return (distance <= 1) & (distance >= rng.choice([0, 0, 0.2]))


@pytest.mark.parametrize(
    ("size", "width"),
    [
        ((480, 640), 16),
        ((10, 10), 1),
        ((75, 100), 2),  # 2.5 and 13.5: halves go to the even number, as in Python
        ((405, 540), 14),
        ((2000, 3000), 72),
    ],
)
def test_the_width_is_two_percent_of_the_diagonal(size, width):
    assert boundary_width(size) == width


def test_boundary_of_a_square_by_hand():
    # A diagonal of 80 makes 2 pixels: of 12 x 12 all but 8 x 8, of the same at the frame likewise.
    for top, left in ((10, 20), (0, 0), (36, 52)):
        mask = np.zeros((48, 64), dtype=bool)
        mask[top : top + 12, left : left + 12] = True
        boundary = mask_util.decode(boundary_of(rle_of(mask)))
        expected = mask.copy()
        expected[top + 2 : top + 10, left + 2 : left + 10] = False
        assert np.array_equal(boundary, expected) and boundary.sum() == 80


@pytest.mark.parametrize("size", [SIZE, (7, 200), (200, 3), (1, 1)])
def test_boundaries_are_those_of_step_by_step_erosion(size):
    rng = np.random.default_rng(0)
    masks = [ellipse(rng, size) for _ in range(20)]
    # As wide as the two rims, and a pixel wider.
    rims = 2 * boundary_width(size)
    for side in (rims, rims + 1):
        masks.append(np.zeros(size, dtype=bool))
        masks[-1][1 : 1 + side, 2 : 2 + side] = True
    masks += [rng.random(size) < 0.9, np.ones(size, dtype=bool), np.zeros(size, dtype=bool)]
    for mask in masks:
        found = boundary_of(rle_of(mask))
        assert list(found["size"]) == list(size)
        assert np.array_equal(mask_util.decode(found).astype(bool), naive_boundary(mask))


@pytest.fixture(scope="module")
def dataset():
    """Ten images of ellipses of three classes, crowds among them; the fifth is empty."""
    rng = np.random.default_rng(1)
    records = []
    for image_id in range(10):
        annotations = []
        for _ in range(0 if image_id == 5 else rng.integers(1, 7)):
            mask = ellipse(rng)
            mask[10, 10] = True  # none is empty
            annotations.append(
                {
                    "bbox": mask_util.toBbox(rle_of(mask)).tolist(),
                    "bbox_mode": 1,
                    "category_id": int(rng.integers(3)),
                    "segmentation": rle_of(mask),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
        size = {"height": SIZE[0], "width": SIZE[1]}
        records.append({"file_name": "x", "image_id": image_id, **size, "annotations": annotations})
    with registered(records) as name:
        yield name, records


@pytest.fixture(scope="module")
def predictions(dataset):
    """The objects, a little larger, smaller or moved, more than once, with equal scores among them."""
    rng = np.random.default_rng(2)
    found = {}
    for record in dataset[1]:
        masks, classes = [ellipse(rng)], [0]
        for item in record["annotations"]:
            mask = mask_util.decode(item["segmentation"])
            for _ in range(rng.integers(1, 4)):
                kernel = np.ones(rng.integers(1, 4, 2), dtype=np.uint8)
                changed = rng.choice([cv2.erode, cv2.dilate])(mask, kernel)
                masks.append(np.roll(changed, rng.integers(-1, 2, 2), (0, 1)).astype(bool))
                classes.append(item["category_id"])
        instances = Instances(SIZE)
        instances.pred_boxes = Boxes(torch.zeros(len(masks), 4))
        instances.scores = torch.from_numpy(rng.integers(1, 10, len(masks)) / 10)
        instances.pred_classes = torch.tensor(classes)
        instances.pred_masks = torch.from_numpy(np.stack(masks))
        found[record["image_id"]] = instances
    return found


def run(evaluator, predictions, ids=None):
    evaluator.reset()
    for image_id, instances in predictions.items():
        evaluator.process([{"image_id": image_id}], [{"instances": instances}])
    return evaluator.evaluate(ids)


def naive_stats(records, predictions):
    """Return COCO's twelve numbers of the lower IoU, of masks and of boundaries, of every pair."""
    truths, found = [], []
    for record in records:
        image = {"image_id": record["image_id"] + 1}
        for item in record["annotations"]:
            area = int(mask_util.area(item["segmentation"]))
            kept = {key: item[key] for key in ("category_id", "iscrowd", "segmentation")}
            truths.append({"id": len(truths) + 1, **image, **kept, "area": area})
        instances = predictions[record["image_id"]]
        for mask, label, score in zip(
            instances.pred_masks.numpy(), instances.pred_classes, instances.scores, strict=True
        ):
            kept = {"category_id": int(label), "score": float(score), "iscrowd": 0}
            kept |= {"segmentation": rle_of(mask), "area": int(mask.sum())}
            found.append({"id": len(found) + 1, **image, **kept})
    apis = []
    for annotations in (truths, found):
        apis.append(COCO())
        apis[-1].dataset = {
            "images": [
                {"id": record["image_id"] + 1, "height": SIZE[0], "width": SIZE[1]}
                for record in records
            ],
            "categories": [{"id": number} for number in range(3)],
            "annotations": annotations,
        }
        apis[-1].createIndex()
    evaluated = COCOeval(*apis, "segm")
    evaluated._prepare()
    params = evaluated.params
    for image in params.imgIds:
        for category in params.catIds:
            theirs = evaluated._gts[image, category]
            order = sorted(evaluated._dts[image, category], key=lambda item: -item["score"])
            pairs = np.zeros((len(order), len(theirs)))
            for row, one in enumerate(order):
                for column, other in enumerate(theirs):
                    a, b = (mask_util.decode(it["segmentation"]) > 0 for it in (one, other))
                    if other["iscrowd"]:
                        pairs[row, column] = (a & b).sum() / max(a.sum(), 1)
                    else:
                        edges = iou(naive_boundary(a), naive_boundary(b))
                        pairs[row, column] = min(iou(a, b), edges)
            evaluated.ious[image, category] = pairs if pairs.size else []
    evaluated.evalImgs = [
        evaluated.evaluateImg(image, category, area, params.maxDets[-1])
        for category in params.catIds
        for area in params.areaRng
        for image in params.imgIds
    ]
    evaluated._paramsEval = params
    evaluated.accumulate()
    evaluated.summarize()
    return evaluated.stats


@pytest.mark.parametrize("fast", [True, False])
def test_numbers_are_those_of_the_naive_loop(dataset, predictions, fast):
    name, records = dataset
    expected = 100 * naive_stats(records, predictions)
    tables = run(COCOEvaluator(name, ALL, use_fast_impl=fast), predictions)
    found = [tables["boundary"][key] for key in ("AP", "AP50", "AP75", "APs", "APm", "APl")]
    assert found == pytest.approx(
        [value if value >= 0 else np.nan for value in expected[:6]], abs=1e-9, nan_ok=True
    )
    # An outline fits less well than its inside.
    assert 10 < tables["boundary"]["AP"] < tables["segm"]["AP"] - 5
    classes = [tables["boundary"][f"AP-{label}"] for label in ("red", "green", "blue")]
    assert np.mean(classes) == pytest.approx(tables["boundary"]["AP"])
    assert tables["boundary"].keys() == tables["segm"].keys()


def test_numbers_are_those_of_faster_coco_eval_for_boundaries(dataset, predictions, monkeypatch):
    api = pytest.importorskip("faster_coco_eval")
    if not hasattr(api.COCOeval_faster(iouType="bbox"), "boundary_dilation_ratio"):
        pytest.skip("this version has no boundaries")
    ours = run(COCOEvaluator(dataset[0], ALL), predictions)["boundary"]
    # Theirs, of all pairs: boundaries are an iouType of its own there.
    module = "solo.evaluation.coco"
    monkeypatch.setattr(f"{module}.compare_boundaries", lambda *args: None)
    made = api.COCOeval_faster
    monkeypatch.setattr(
        f"{module}.COCOeval_faster",
        lambda truth, found, _, **words: made(truth, found, "boundary", **words),
    )
    theirs = run(COCOEvaluator(dataset[0], ("boundary",)), predictions)["boundary"]
    assert ours == pytest.approx(theirs, abs=1e-9, nan_ok=True)


def test_the_other_tables_stay_as_they_are(dataset, predictions):
    name, _ = dataset
    plain = run(build_evaluator(name, None), predictions)
    tables = run(build_evaluator(name, None, ALL), predictions)
    assert list(plain) == [*MASKS] and list(tables) == [*ALL]
    assert json.dumps({task: tables[task] for task in MASKS}) == json.dumps(plain)
    assert "F1" not in tables["boundary"]


def test_run_lengths_some_images_and_a_second_time(dataset, predictions):
    name, records = dataset
    evaluator = COCOEvaluator(name, ("boundary",))
    first = run(evaluator, predictions)
    kept = dict(evaluator._truth.boundaries)
    assert 0 < len(kept) < sum(len(record["annotations"]) for record in records)
    as_rles = {}
    for image_id, instances in predictions.items():
        fields = dict(instances.get_fields())
        masks = fields.pop("pred_masks")
        as_rles[image_id] = Instances(SIZE, **fields)
        as_rles[image_id].pred_rles = [rle_of(mask) for mask in masks.numpy()]
    assert json.dumps(run(evaluator, as_rles)) == json.dumps(first)
    # The boundaries of the objects were not made again.
    assert all(evaluator._truth.boundaries[number] is rle for number, rle in kept.items())
    some = {image_id: predictions[image_id] for image_id in (0, 3)}
    assert run(evaluator, some, [0, 3])["boundary"]["AP"] != first["boundary"]["AP"]


@pytest.mark.parametrize("fast", [True, False])
def test_limit_of_detections(dataset, predictions, fast):
    name, _ = dataset
    least = {"use_fast_impl": fast, "max_dets_per_image": 2}
    tables = run(COCOEvaluator(name, ("boundary",), **least), predictions)
    theirs = run(COCOEvaluator(name, ("boundary",), max_dets_per_image=2), predictions)
    assert tables["boundary"] == pytest.approx(theirs["boundary"], abs=1e-9, nan_ok=True)
    whole = run(COCOEvaluator(name, ("boundary",)), predictions)
    assert tables["boundary"]["AP"] < whole["boundary"]["AP"]


def test_objects_without_masks_have_no_boundaries():
    item = {"bbox": [4, 4, 20, 20], "bbox_mode": 0, "category_id": 0}
    size = {"height": SIZE[0], "width": SIZE[1]}
    record = {"file_name": "x", "image_id": 0, **size, "annotations": [item]}
    with registered([record]) as name:
        assert COCOEvaluator(name, ALL)._tasks == ("bbox",)
        with pytest.raises(UserError, match="has boxes only, so that masks cannot be evaluated"):
            COCOEvaluator(name, ("boundary",))
    mask = np.ones(SIZE)
    masked = {**record, "annotations": [item, {**item, "segmentation": rle_of(mask)}]}
    with registered([masked]) as name, pytest.raises(UserError, match="has no segmentation"):
        COCOEvaluator(name, ("boundary",))
