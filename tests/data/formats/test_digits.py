import json
import subprocess
import sys
from itertools import islice

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.cli.main import main
from solo.config import get_cfg
from solo.data import build_train_loader
from solo.data.formats import digit_painting, digits
from solo.data.formats.digit_painting import DigitsSpec, compose_image
from solo.data.formats.digits import build_digits, load_sources

SPEC = DigitsSpec(train_images=6, val_images=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_digits(tmp_path_factory.mktemp("data"), SPEC)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_same_spec_gives_the_same_files(folder, tmp_path):
    np.random.seed(7)  # global state must not matter
    again = build_digits(tmp_path, SPEC)
    assert again.name == folder.name
    assert contents(again) == contents(folder)
    assert len(contents(folder)) == 6 + 3 + 2


def test_other_parameters_get_another_folder(folder, tmp_path):
    other = DigitsSpec(train_images=6, val_images=3, seed=1)
    assert other.folder != SPEC.folder
    assert contents(build_digits(tmp_path, other)) != contents(folder)


def test_images_are_written_once(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    assert build_digits(folder.parent, SPEC) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")} == before


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    calls = iter(range(4))

    def stop(*_):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(digits.cv2, "imwrite", stop)
    with pytest.raises(KeyboardInterrupt):
        build_digits(tmp_path, SPEC)
    assert list(tmp_path.iterdir()) == []


def test_slower_of_two_processes_takes_the_other_ones(tmp_path, folder, monkeypatch):
    publish = digits._publish

    def late(scratch, target):
        target.mkdir()
        (target / "train.json").write_text("the other process's")
        publish(scratch, target)

    monkeypatch.setattr(digits, "_publish", late)
    result = build_digits(tmp_path, SPEC)
    assert (result / "train.json").read_text() == "the other process's"
    assert list(tmp_path.iterdir()) == [result]


def test_splits_share_neither_samples_nor_photographs():
    train, val = load_sources(DigitsSpec(), "train"), load_sources(DigitsSpec(), "val")
    assert not set(train.samples) & set(val.samples)
    assert len(train.samples) + len(val.samples) == 1797
    shares = np.bincount(val.labels) / np.bincount(np.concatenate([train.labels, val.labels]))
    assert np.allclose(shares, 0.2, atol=0.01)
    for left, right in zip(train.photos, val.photos, strict=True):
        assert left.shape[1] + right.shape[1] == 640


def test_masks_are_the_pixels_that_were_painted(monkeypatch):
    """Each digit in a flat colour of its own: its mask is where that colour shows."""
    spec = DigitsSpec(max_digits=8, min_height=32, min_visible=0.4)
    size = spec.image_size
    sources = load_sources(spec, "train")
    order = []

    def flat(canvas, cover, _rng):
        order.append(len(order) + 1)
        canvas[cover > 0.5] = order[-1]

    monkeypatch.setattr(
        digit_painting, "_background", lambda *_: np.zeros((size, size, 3), np.float32)
    )
    monkeypatch.setattr(digit_painting, "paint", flat)
    overlaps = 0
    for seed in range(10):
        order.clear()
        image, painted = compose_image(spec, sources, np.random.default_rng(seed))
        assert 1 <= len(painted) <= 8
        for number, digit in enumerate(painted, start=1):
            assert np.array_equal(digit.mask, image[:, :, 0] == number)
            assert digit.mask.sum() > spec.min_visible * digit.area
            overlaps += digit.mask.sum() < digit.area
    assert overlaps > 5


def test_paint_changes_the_masks_and_little_else():
    spec = DigitsSpec()
    rng = np.random.default_rng(0)
    canvas = rng.uniform(0, 80, (spec.image_size, spec.image_size, 3)).astype(np.float32)
    ink = digit_painting.enlarge(load_sources(spec, "val").ink[0], spec, rng)
    cover = digit_painting.place_sample(ink, spec, rng)
    painted = canvas.copy()
    digit_painting.paint(painted, cover, rng)
    assert np.array_equal(painted[cover == 0], canvas[cover == 0])
    inside = cover == 1
    assert np.abs(painted[inside].mean(axis=0) - canvas[inside].mean(axis=0)).max() > 40


def test_annotations_are_those_of_coco(folder):
    document = json.loads((folder / "train.json").read_text())
    assert [item["name"] for item in document["categories"]] == digits.CLASS_NAMES
    ids = [item["id"] for item in document["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    heights = []
    for item in document["annotations"]:
        mask = mask_util.decode(item["segmentation"])
        ys, xs = np.nonzero(mask)
        left, top, width, height = item["bbox"]
        assert (left, top, left + width, top + height) == (
            xs.min(),
            ys.min(),
            xs.max() + 1,
            ys.max() + 1,
        )
        assert item["area"] == mask.sum()
        heights.append(height)
    assert max(heights) <= 135  # 120 pixels upright, more when turned
    image = cv2.imread(str(folder / "train" / document["images"][0]["file_name"]))
    assert image.shape == (192, 192, 3)


def test_registering_makes_nothing_and_loading_makes_all(tmp_path):
    digits.register_digits(tmp_path, SPEC, prefix="tiny_digits")
    digits.register_digits(tmp_path / "ignored", SPEC, prefix="tiny_digits")
    try:
        assert list(tmp_path.iterdir()) == []
        metadata = MetadataCatalog.get("tiny_digits_val")
        assert metadata.evaluator_type == "coco"
        records = DatasetCatalog.get("tiny_digits_val")
        assert len(records) == 3
        assert (tmp_path / SPEC.folder / "val.json").samefile(metadata.json_file)
        document = json.loads((tmp_path / SPEC.folder / "val.json").read_text())
        labels = [item["category_id"] - 1 for item in document["annotations"]]
        assert [item["category_id"] for r in records for item in r["annotations"]] == labels
        cfg = get_cfg()
        cfg.DATASETS.TRAIN = ("tiny_digits_train",)
        cfg.SEED, cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_WORKERS = 0, 2, 0
        (batch,) = islice(build_train_loader(cfg), 1)
        assert all(len(item["instances"]) >= 1 for item in batch)
    finally:
        for split in digits.SPLITS:
            DatasetCatalog.remove(f"tiny_digits_{split}")
            MetadataCatalog.remove(f"tiny_digits_{split}")


def test_import_registers_without_scikit_learn(tmp_path):
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import solo.data\n"
        "from detectron2.data import DatasetCatalog\n"
        "assert 'digits_train' in DatasetCatalog and 'digits_val' in DatasetCatalog\n"
        "try:\n    DatasetCatalog.get('digits_val')\n"
        "except ModuleNotFoundError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"SOLO_DATASETS": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "run `pip install scikit-learn`" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"train_images": 0}, {"min_height": 200}])
def test_senseless_spec(tmp_path, change):
    with pytest.raises(ValueError, match="digits needs"):
        build_digits(tmp_path, DigitsSpec(**change))


def test_tool(tmp_path, monkeypatch, capsys, loggers_as_before):
    monkeypatch.setattr(digits, "build_digits", lambda root: build_digits(root, SPEC))
    assert main(["data", "digits", "--output", str(tmp_path)]) == 0
    assert (tmp_path / SPEC.folder / "val.json").exists()
    assert f"to train on them there, set SOLO_DATASETS={tmp_path}" in capsys.readouterr().out
