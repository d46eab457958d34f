import json
import logging
import math

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2 import evaluation
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Boxes, Instances

from solo.evaluation import COCOEvaluator, build_evaluator
from solo.evaluation import coco as coco_module
from solo.structures.run_lengths import encode_masks

SIZE = (120, 160)
NAMES = ["cat", "dog", "bird"]
# As in COCO: neither from zero nor without gaps.
CATEGORY_IDS = [3, 8, 20]


def ellipse(rng):
    ys, xs = np.mgrid[: SIZE[0], : SIZE[1]]
    cy, cx = rng.uniform(20, 100), rng.uniform(20, 140)
    ry, rx = np.exp(rng.uniform(np.log(4), np.log(60), 2))
    return ((ys - cy) / ry) ** 2 + ((xs - cx) / rx) ** 2 <= 1


def rle_of(mask):
    rle = mask_util.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.fixture
def dataset(tmp_path):
    """Twelve images with ellipses of all sizes, crowds among them, as RLE; one is empty."""
    rng = np.random.default_rng(1)
    images, annotations, masks = [], [], {}
    for image_id in range(1, 13):
        images.append({"id": image_id, "height": SIZE[0], "width": SIZE[1], "file_name": "x"})
        masks[image_id] = []
        for _ in range(0 if image_id == 5 else rng.integers(1, 6)):
            mask, label = ellipse(rng), int(rng.integers(3))
            masks[image_id].append((mask, label))
            rle = rle_of(mask)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORY_IDS[label],
                    "segmentation": rle,
                    "bbox": mask_util.toBbox(rle).tolist(),
                    "area": float(mask.sum()),
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
    categories = [{"id": i, "name": n} for i, n in zip(CATEGORY_IDS, NAMES, strict=True)]
    path = tmp_path / "val.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    MetadataCatalog.get("ellipses").set(
        json_file=str(path),
        thing_classes=NAMES,
        thing_dataset_id_to_contiguous_id={3: 0, 8: 1, 20: 2},
        evaluator_type="coco",
    )
    yield masks
    MetadataCatalog.remove("ellipses")


def detections(masks, rng):
    """The ground truth, shifted, with wrong classes now and then, and inventions."""
    found, classes = [], []
    for mask, label in [*masks, (ellipse(rng), 0)]:
        found.append(np.roll(mask, rng.integers(-3, 4, 2), (0, 1)))
        classes.append(label if rng.random() < 0.8 else (label + 1) % 3)
    found = torch.from_numpy(np.stack(found))
    instances = Instances(SIZE)
    boxes = mask_util.toBbox(encode_masks(found))
    boxes[:, 2:] += boxes[:, :2]
    instances.pred_boxes = Boxes(torch.from_numpy(boxes).float())
    instances.scores = torch.from_numpy(rng.random(len(found))).float()
    instances.pred_classes = torch.tensor(classes)
    instances.pred_masks = found
    return instances


def empty():
    instances = Instances(SIZE)
    instances.pred_boxes = Boxes(torch.zeros(0, 4))
    instances.scores = torch.zeros(0)
    instances.pred_classes = torch.zeros(0, dtype=torch.int64)
    instances.pred_masks = torch.zeros(0, *SIZE, dtype=torch.bool)
    return instances


def run(evaluator, predictions):
    evaluator.reset()
    for image_id, instances in predictions.items():
        evaluator.process([{"image_id": image_id}], [{"instances": instances}])
    return evaluator.evaluate()


@pytest.fixture
def predictions(dataset):
    rng = np.random.default_rng(2)
    return {image_id: detections(masks, rng) for image_id, masks in dataset.items()}


def assert_same(results, others):
    assert results.keys() == others.keys() == {"bbox", "segm"}
    for task, numbers in results.items():
        assert numbers.keys() == others[task].keys()
        for metric, value in numbers.items():
            assert value == pytest.approx(others[task][metric], abs=1e-9, nan_ok=True), metric


@pytest.mark.parametrize("fast", [True, False])
def test_numbers_are_those_of_pycocotools(predictions, fast):
    theirs = run(evaluation.COCOEvaluator("ellipses", use_fast_impl=False), predictions)
    ours = run(COCOEvaluator("ellipses", use_fast_impl=fast), predictions)
    assert 20 < ours["segm"]["AP"] < 90
    assert {f"AP-{name}" for name in NAMES} < set(ours["segm"])
    assert_same(ours, theirs)


def test_limit_of_detections_is_respected_by_both_backends(predictions):
    results = [
        run(COCOEvaluator("ellipses", use_fast_impl=fast, max_dets_per_image=1), predictions)
        for fast in (True, False)
    ]
    assert_same(*results)
    unlimited = run(COCOEvaluator("ellipses"), predictions)
    assert results[0]["segm"]["AP"] < unlimited["segm"]["AP"]


def test_rles_count_as_their_pixels_do(predictions):
    expected = run(COCOEvaluator("ellipses"), predictions)
    for text in (True, False):
        as_rles = {}
        for image_id, instances in predictions.items():
            fields = dict(instances.get_fields())
            rles = encode_masks(fields.pop("pred_masks"))
            if text:
                rles = [{**rle, "counts": rle["counts"].decode()} for rle in rles]
            as_rles[image_id] = Instances(SIZE, **fields)
            as_rles[image_id].pred_rles = rles
        assert_same(run(COCOEvaluator("ellipses"), as_rles), expected)


def test_only_rle_is_kept(predictions):
    evaluator = COCOEvaluator("ellipses")
    evaluator.reset()
    evaluator.process([{"image_id": 1}], [{"instances": predictions[1]}])
    (kept,) = evaluator._predictions
    json.dumps(kept)
    for result, mask in zip(kept["instances"], predictions[1].pred_masks, strict=True):
        assert np.array_equal(mask_util.decode(result["segmentation"]), mask.numpy())
    assert predictions[1].has("pred_masks"), "the model's output must stay as it is"


@pytest.mark.parametrize("fast", [True, False])
def test_no_prediction_at_all_is_an_ap_of_zero(dataset, fast, caplog):
    with caplog.at_level(logging.WARNING):
        results = run(
            COCOEvaluator("ellipses", use_fast_impl=fast),
            {image_id: empty() for image_id in dataset},
        )
    assert "no instance in 12 images" in caplog.text
    for task in ("bbox", "segm"):
        assert results[task]["AP"] == results[task]["AP50"] == 0
        assert results[task]["AP-dog"] == 0


def test_image_without_predictions_is_nothing_special(predictions):
    predictions[3] = empty()
    results = run(COCOEvaluator("ellipses"), predictions)
    assert math.isfinite(results["segm"]["AP"])


def test_results_file_has_the_ids_of_the_data_set(predictions, tmp_path):
    run(COCOEvaluator("ellipses", output_dir=str(tmp_path / "out")), predictions)
    results = json.loads((tmp_path / "out" / "coco_instances_results.json").read_text())
    assert {item["category_id"] for item in results} == set(CATEGORY_IDS)
    assert {"image_id", "bbox", "score", "segmentation"} < set(results[0])


def test_class_beyond_the_data_set_is_named(predictions):
    predictions[1].pred_classes[:] = 7
    with pytest.raises(ValueError, match="class 7, but the data set has 3"):
        run(COCOEvaluator("ellipses"), predictions)


def test_image_beyond_the_data_set_is_named(predictions):
    predictions[77] = predictions.pop(3)
    with pytest.raises(ValueError, match="instances of image 77, which the data set does not have"):
        run(COCOEvaluator("ellipses"), predictions)


def test_more_masks_than_pycocotools_counts_at_a_time(predictions):
    predictions[1] = Instances.cat([predictions[1]] * 100)
    results = [
        run(make("ellipses", use_fast_impl=False), predictions)
        for make in (COCOEvaluator, evaluation.COCOEvaluator)
    ]
    assert_same(*results)


def test_annotations_without_area_and_iscrowd(predictions, tmp_path):
    path = tmp_path / "val.json"
    document = json.loads(path.read_text())
    for item in document["annotations"]:
        item["iscrowd"] = 0
    path.write_text(json.dumps(document))
    expected = run(COCOEvaluator("ellipses"), predictions)
    for item in document["annotations"]:
        del item["area"], item["iscrowd"]
    path.write_text(json.dumps(document))
    assert_same(run(COCOEvaluator("ellipses"), predictions), expected)


@pytest.mark.parametrize("fast", [True, False])
def test_annotations_without_ids_or_from_zero(predictions, tmp_path, fast):
    path = tmp_path / "val.json"
    document = json.loads(path.read_text())
    expected = run(COCOEvaluator("ellipses", use_fast_impl=fast), predictions)
    for number, item in enumerate(document["annotations"]):
        item["id"] = number  # COCO's code takes the object with id 0 for not found
    path.write_text(json.dumps(document))
    assert_same(run(COCOEvaluator("ellipses", use_fast_impl=fast), predictions), expected)
    for item in document["annotations"]:
        del item["id"], item["bbox"]
    for image in document["images"]:
        image["height"], image["width"] = float(SIZE[0]), float(SIZE[1])
    path.write_text(json.dumps(document))
    assert_same(run(COCOEvaluator("ellipses", use_fast_impl=fast), predictions), expected)


def test_ground_truth_without_masks_is_named(dataset, tmp_path):
    path = tmp_path / "val.json"
    document = json.loads(path.read_text())
    document["annotations"][3]["segmentation"] = []
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="ellipses: x: annotation 4 has no segmentation"):
        COCOEvaluator("ellipses")
    COCOEvaluator("ellipses", tasks=("bbox",))


def test_an_object_without_a_pixel_is_told(dataset, tmp_path, caplog):
    path = tmp_path / "val.json"
    document = json.loads(path.read_text())
    item = next(item for item in document["annotations"][3:] if not item["iscrowd"])
    item["segmentation"] = [[1, 2, 3, 4, 5, 6]]
    path.write_text(json.dumps(document))
    COCOEvaluator("ellipses")
    assert f"ellipses: x: annotation {item['id']} has no pixel: it counts as missed" in caplog.text


def test_missing_backend_is_replaced_and_said_once(predictions, monkeypatch, caplog):
    expected = run(COCOEvaluator("ellipses"), predictions)
    monkeypatch.setattr(coco_module, "FastCOCO", None)
    monkeypatch.setattr(coco_module, "COCOeval_faster", None)
    with caplog.at_level(logging.INFO):
        results = run(COCOEvaluator("ellipses"), predictions)
    assert sum("faster-coco-eval is not installed" in text for text in caplog.messages) == 1
    assert_same(results, expected)
    with pytest.raises(ValueError, match="pip install faster-coco-eval"):
        COCOEvaluator("ellipses", use_fast_impl=True)


def test_data_set_without_json_file_is_converted(dataset, tmp_path):
    mask, label = dataset[1][0]
    box = mask_util.toBbox(rle_of(mask)).tolist()
    record = {
        "file_name": "x.jpg",
        "image_id": 1,
        "height": SIZE[0],
        "width": SIZE[1],
        "annotations": [
            {"bbox": box, "bbox_mode": 1, "category_id": label, "segmentation": rle_of(mask)}
        ],
    }
    DatasetCatalog.register("by_hand", lambda: [record])
    MetadataCatalog.get("by_hand").set(thing_classes=NAMES)
    instances = Instances(SIZE)
    instances.pred_boxes = Boxes(torch.tensor([[*box[:2], box[0] + box[2], box[1] + box[3]]]))
    instances.scores = torch.ones(1)
    instances.pred_classes = torch.tensor([label])
    instances.pred_masks = torch.from_numpy(mask)[None]
    try:
        evaluator = build_evaluator("by_hand", str(tmp_path / "out"))
        assert run(evaluator, {1: instances})["segm"]["AP"] == pytest.approx(100)
    finally:
        DatasetCatalog.remove("by_hand")
        MetadataCatalog.remove("by_hand")


def test_on_a_full_disk_the_tables_come_nevertheless(
    predictions, tmp_path, file_size_limit, caplog
):
    expected = run(COCOEvaluator("ellipses"), predictions)
    folder = tmp_path / "inference"
    evaluator = COCOEvaluator("ellipses", output_dir=str(folder))
    with file_size_limit(1000):
        assert_same(run(evaluator, predictions), expected)
    assert "instances_predictions.pth cannot be written" in caplog.text
    assert "coco_instances_results.json cannot be written" in caplog.text
    assert list(folder.iterdir()) == []
    assert_same(run(evaluator, predictions), expected)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("fast", [True, False])
def test_ids_of_any_kind_count_as_numbers_do(dataset, predictions, tmp_path, fast):
    expected = run(COCOEvaluator("ellipses"), predictions)
    path = tmp_path / "val.json"
    document = json.loads(path.read_text())
    for image in document["images"]:
        image["id"] = f"image {image['id']}"
    for number, item in enumerate(document["annotations"]):
        item["image_id"] = f"image {item['image_id']}"
        item["id"] = (number << 100) - 7
        item["category_id"] = f"{item['category_id']:02}"
    for category in document["categories"]:
        category["id"] = f"{category['id']:02}"
    path.write_text(json.dumps(document))
    MetadataCatalog.get("ellipses_text").set(json_file=str(path))
    folder = tmp_path / "results"
    try:
        evaluator = COCOEvaluator("ellipses_text", use_fast_impl=fast, output_dir=str(folder))
        renamed = {f"image {number}": found for number, found in predictions.items()}
        assert_same(run(evaluator, renamed), expected)
    finally:
        MetadataCatalog.remove("ellipses_text")
    (results,) = folder.glob("*.json")
    first = json.loads(results.read_text())[0]
    assert first["image_id"] == "image 1" and first["category_id"] in ("03", "08", "20")


def test_records_that_cannot_be_told_apart_are_refused():
    record = {"file_name": "a.png", "image_id": 3, "height": 9, "width": 9, "annotations": []}
    item = {
        "category_id": 1,
        "bbox": [1, 1, 4, 4],
        "bbox_mode": 1,
        "segmentation": [[1, 1, 5, 1, 5, 5]],
    }
    MetadataCatalog.get("refused_records").thing_classes = ["cat"]
    for records, words in (
        ([record, record], "two of its images have the same image_id"),
        ([{**record, "annotations": [item]}], "the class 1, where thing_classes has 1, from 0"),
    ):
        DatasetCatalog.register("refused_records", lambda kept=records: kept)
        with pytest.raises(ValueError, match=words):
            COCOEvaluator("refused_records")
        DatasetCatalog.remove("refused_records")
    MetadataCatalog.remove("refused_records")


def test_a_crowd_without_a_mask_is_its_box(dataset, predictions, tmp_path):
    path = tmp_path / "val.json"
    document = json.loads(path.read_text())
    crowds = [item for item in document["annotations"] if item["iscrowd"]]
    assert crowds
    results = []
    for as_polygon in (True, False):
        for item in crowds:
            x, y, width, height = item["bbox"]
            right, bottom = x + width, y + height
            item.pop("segmentation", None)
            if as_polygon:
                item["segmentation"] = [[x, y, right, y, right, bottom, x, bottom]]
        path.write_text(json.dumps(document))
        results.append(run(COCOEvaluator("ellipses"), predictions))
    assert_same(*results)
