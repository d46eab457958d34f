"""The numbers are compared with those of Cityscapes' own scripts, which read images from disk."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Boxes, Instances
from PIL import Image

from solo.data.formats.cityscapes import load_cityscapes
from solo.evaluation import CityscapesInstanceEvaluator, build_evaluator
from solo.structures.run_lengths import encode_masks

SIZE = (96, 128)
NAMES = ["person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"]
IDS = [24, 25, 26, 27, 28, 31, 32, 33]
VOID = [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30]


def scene(rng):
    """Road, void, and rectangles of all kinds: large and small objects, groups, caravans."""
    ids = np.full(SIZE, 7, np.int32)
    ids[:6] = 1
    for k in range(12):
        label = rng.choice([24, 24, 26, 26, 33, 29])
        top, left = rng.integers(0, 80), rng.integers(0, 110)
        height, width = rng.integers(4, 40, 2)
        number = label if rng.random() < 0.2 else label * 1000 + k
        ids[top : top + height, left : left + width] = number
    return ids


def detect(ids, rng):
    """Objects and groups, shifted a little, some of another class, some twice, some invented."""
    masks, classes = [], []
    for number in np.unique(ids):
        label = number // 1000 if number >= 1000 else number
        if label not in IDS:
            continue
        for _ in range(rng.integers(1, 3)):
            masks.append(np.roll(ids == number, rng.integers(-2, 3, 2), (0, 1)))
            classes.append(IDS.index(label) if rng.random() < 0.8 else 2)
    for _ in range(3):
        invented = np.zeros(SIZE, bool)
        top, left = rng.integers(0, 80, 2)
        invented[top : top + 20, left : left + 20] = True
        masks.append(invented)
        classes.append(0)
    masks.append(np.zeros(SIZE, bool))
    classes.append(0)
    instances = Instances(SIZE)
    instances.pred_masks = torch.from_numpy(np.stack(masks))
    instances.pred_classes = torch.tensor(classes)
    instances.scores = torch.from_numpy(rng.random(len(masks))).float()
    return instances


@pytest.fixture
def city(tmp_path):
    """Four images of a city, as (input, detections), registered as toy_city."""
    rng = np.random.default_rng(4)
    pairs = []
    (tmp_path / "gt" / "ulm").mkdir(parents=True)
    for index in range(4):
        ids = scene(rng)
        base = f"ulm_00000{index}_000019"
        ids_file = tmp_path / "gt" / "ulm" / f"{base}_gtFine_instanceIds.png"
        Image.fromarray(ids.astype(np.uint16)).save(ids_file)
        image = tmp_path / "images" / "ulm" / f"{base}_leftImg8bit.png"
        pairs.append(({"file_name": str(image)}, detect(ids, rng)))
    MetadataCatalog.get("toy_city").set(gt_dir=str(tmp_path / "gt"), thing_classes=NAMES)
    yield pairs
    MetadataCatalog.remove("toy_city")


def official(pairs, tmp_path, monkeypatch):
    """Write the detections as images and run Cityscapes' scripts on them."""
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)  # numpy 2.4 has it no more
    name = "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling"
    scripts = importlib.import_module(name)
    # They write a file of intermediate numbers, in which json wants no numpy.
    monkeypatch.setattr(scripts, "writeDict2JSON", lambda content, path: None)
    folder = tmp_path / "found"
    folder.mkdir()
    for item, instances in pairs:
        base = item["file_name"].split("/")[-1].removesuffix("_leftImg8bit.png")
        lines = []
        for k, mask in enumerate(instances.pred_masks.numpy()):
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{base}_{k}.png")
            label = IDS[instances.pred_classes[k]]
            lines.append(f"{base}_{k}.png {label} {instances.scores[k]}\n")
        (folder / f"{base}_pred.txt").write_text("".join(lines))
    args = scripts.args
    for key, value in {
        "predictionPath": str(folder),
        "predictionWalk": None,
        "JSONOutput": False,
        "quiet": True,
        "gtInstancesFile": str(tmp_path / "gtInstances.json"),
    }.items():
        monkeypatch.setattr(args, key, value)
    truths = sorted(str(path) for path in tmp_path.glob("gt/ulm/*.png"))
    found = [scripts.getPrediction(path, args) for path in truths]
    return scripts.evaluateImgLists(found, truths, args)["averages"]


def run(pairs):
    evaluator = CityscapesInstanceEvaluator("toy_city")
    for item, instances in pairs:
        evaluator.process([item], [{"instances": instances}])
    return evaluator.evaluate()["segm"]


def test_numbers_are_those_of_the_scripts(city, tmp_path, monkeypatch):
    expected = official(city, tmp_path, monkeypatch)
    results = run(city)
    assert 10 < results["AP"] < 90
    assert results["AP"] == pytest.approx(100 * expected["allAp"])
    assert results["AP50"] == pytest.approx(100 * expected["allAp50%"])
    for name in NAMES:
        theirs = 100 * float(expected["classes"][name]["ap"])
        assert results[f"AP-{name}"] == pytest.approx(theirs, nan_ok=True)


def naive_f1(city, tmp_path, threshold):
    """Go through the images, and in each through what is shown from the best on."""
    true = found = objects = 0
    for (_, instances), path in zip(city, sorted(tmp_path.glob("gt/ulm/*.png")), strict=True):
        ids = np.asarray(Image.open(path))
        numbers = [n for n in np.unique(ids) if n >= 1000 and n // 1000 in IDS]
        objects += len(numbers)
        free, shown = set(numbers), []
        for row in instances.scores.argsort(descending=True).tolist():
            mask, name = instances.pred_masks[row].numpy(), instances.pred_classes[row].item()
            if not mask.any() or any(overlap(mask, other) >= 0.5 for other in shown):
                continue
            shown.append(mask)
            mine = {n: overlap(mask, ids == n) for n in free if n // 1000 == IDS[name]}
            best = max(mine, key=mine.get, default=None)
            is_hit = best is not None and mine[best] >= 0.5
            free -= {best} if is_hit else set()
            void = np.isin(ids, [IDS[name], *VOID])[mask].mean() >= 0.5
            if instances.scores[row] >= threshold and (is_hit or not void):
                true, found = true + is_hit, found + 1
    return 200 * true / (found + objects)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_f1_is_that_of_what_is_shown(city, tmp_path):
    results = run(city)
    at = [naive_f1(city, tmp_path, threshold / 100) for threshold in range(100)]
    assert results["F1"] == pytest.approx(naive_f1(city, tmp_path, results["threshold"]))
    assert 20 < results["F1"] > max(at) - 5


def test_rles_count_as_their_pixels_do(city):
    expected = run(city)
    for _, instances in city:
        instances.pred_rles = encode_masks(instances.pred_masks)
        instances.remove("pred_masks")
    assert run(city) == pytest.approx(expected, nan_ok=True)


def test_workers_evaluate_together_what_one_evaluates(city, monkeypatch):
    expected = run(city)
    first, second = CityscapesInstanceEvaluator("toy_city"), CityscapesInstanceEvaluator("toy_city")
    for index, (item, instances) in enumerate(city):
        (first, second)[index % 2].process([item], [{"instances": instances}])
    module = "solo.evaluation.cityscapes.comm"
    monkeypatch.setattr(f"{module}.gather", lambda part: [part, second._matches])
    assert first.evaluate()["segm"] == pytest.approx(expected, nan_ok=True)
    monkeypatch.setattr(f"{module}.is_main_process", lambda: False)
    assert second.evaluate() is None


def test_boundaries_stand_beside_the_numbers_of_the_scripts(city, tmp_path):
    for item, instances in city:
        image = Path(item["file_name"])
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
        item["image_id"] = image.name
        instances.pred_boxes = Boxes(torch.zeros(len(instances), 4))
    records = load_cityscapes(tmp_path / "images", tmp_path / "gt")
    DatasetCatalog.register("toy_city", lambda: records)
    MetadataCatalog.get("toy_city").evaluator_type = "cityscapes_instance"
    try:
        evaluator = build_evaluator("toy_city", None, ("bbox", "segm", "boundary"))
    finally:
        DatasetCatalog.remove("toy_city")
    evaluator.reset()
    for item, instances in city:
        evaluator.process([item], [{"instances": instances}])
    results = evaluator.evaluate()
    assert list(results) == ["segm", "boundary"]
    assert results["segm"] == pytest.approx(run(city), nan_ok=True)
    assert 0 < results["boundary"]["AP"] < results["boundary"]["AP50"] < 90
    assert "AP-person" in results["boundary"]
