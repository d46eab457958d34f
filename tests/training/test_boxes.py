"""A model of boxes alone, from its training on boxes to all that is made of it."""

import json

import cv2
import numpy as np
import pytest
import torch

import tests.box_finder  # noqa: F401  (registers it)
from solo.checkpoint.run_files import METRICS, read_run_record
from solo.config.load import inference_config
from solo.demo.page_content import find_instances, list_instances
from solo.inference import Predictor
from solo.inference.datasets import evaluate_predictor
from solo.inference.tiling import TileRule
from solo.report.pages import write_curves, write_page, write_sheet
from solo.report.run_folder import open_run
from solo.survey.drawings import batch_sheet
from solo.training.start import start
from tests.toys import registered, toy_cfg, write_config, write_records
from tests.training.test_start import flags
from tests.yolox.conftest import make_yolox_cfg

PLACES = [(4, 4, 0), (36, 12, 1), (20, 28, 0), (44, 28, 1)]


def bright_records(folder):
    """Eight images of noise with two bright squares each, in red or green, of which there are boxes only."""
    places = [[PLACES[n % 4], PLACES[(n + 1) % 4]] for n in range(8)]
    boxes = [
        [
            {"bbox": [x, y, 16, 16], "bbox_mode": 1, "category_id": category, "iscrowd": 0}
            for x, y, category in some
        ]
        for some in places
    ]
    records = write_records(folder, boxes)
    for record, some in zip(records, places, strict=True):
        image = cv2.imread(record["file_name"]) // 4
        for x, y, category in some:
            image[y : y + 16, x : x + 16, 2 - category] = 255
        cv2.imwrite(record["file_name"], image)
    return records


def for_boxes(cfg, folder):
    """Train and evaluate on the images as they are, and now and then on some put together."""
    cfg.MODEL.DEVICE, cfg.MODEL.WEIGHTS = "cpu", ""
    cfg.DATASETS.TEST = cfg.DATASETS.TRAIN
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = (48,), 48
    cfg.INPUT.MOSAIC.PROB = cfg.INPUT.MIXUP.PROB = cfg.INPUT.COPY_PASTE.PROB = 0.1
    cfg.OUTPUT_DIR = str(folder / "out")
    cfg.SOLVER.STEPS, cfg.SOLVER.WARMUP_ITERS = (), 0
    return cfg


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train the finder of boxes; return the name of its data, its folder and its records."""
    folder = tmp_path_factory.mktemp("boxes")
    records = bright_records(folder)
    with registered(records) as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("solo.training.start.setup_run", lambda cfg, args: None)
        cfg = for_boxes(toy_cfg(name), folder)
        cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.SOLO.HEAD = "BoxFinder", ""
        cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR = 40, 0.2
        cfg.TEST.EVAL_PERIOD, cfg.TEST.PATIENCE = 20, 5
        start(flags(write_config(cfg, folder)))
        yield name, folder / "out", records


@pytest.fixture
def predictor(run):
    return Predictor.from_run(run[1], device="cpu")


def test_the_best_checkpoint_and_the_threshold_are_chosen_by_the_ap_of_boxes(run, predictor):
    _, folder, _ = run
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    aps = [line["bbox/AP"] for line in lines if "bbox/AP" in line]
    assert len(aps) == 2 and max(aps) > 0 and not any("segm/AP" in line for line in lines)
    best = read_run_record(folder).last.outcome.best
    assert (best["metric"], best["value"]) == ("bbox/AP", max(aps))
    kept = torch.load(folder / "model_best.pth", weights_only=False)
    assert kept["best"]["metric"] == "bbox/AP" and 0 < kept["best_f1"]["threshold"] < 1
    assert predictor.is_evaluated
    assert (folder / "curves.png").is_file()


def test_what_is_found_are_boxes(run, predictor):
    _, _, records = run
    assert predictor.tasks == ("bbox",)
    image = cv2.imread(records[0]["file_name"])
    found = predictor(image, threshold=0)
    assert set(found.get_fields()) == {"pred_boxes", "scores", "pred_classes"}
    (first, *_) = predictor.to_dicts(found)
    assert set(first) == {"category_id", "category_name", "score", "bbox"}
    assert (predictor.draw(image, found) != image).any()


def test_an_evaluation_later_gives_what_training_saw(run, predictor):
    name, folder, _ = run
    results = evaluate_predictor(predictor, name)
    assert list(results) == ["bbox"]
    logged = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    assert results["bbox"]["AP"] == pytest.approx(logged[-1]["bbox/AP"])
    assert results["bbox"]["F1"] == pytest.approx(logged[-1]["bbox/F1"])


def test_large_images_are_cut_into_tiles(run):
    _, folder, records = run
    tiled = Predictor.from_run(folder, device="cpu", tiles=TileRule(size=48, whole=False))
    found = tiled(cv2.imread(records[0]["file_name"]), threshold=0)
    assert len(found) and set(found.get_fields()) == {"pred_boxes", "scores", "pred_classes"}


def test_pictures_and_the_page_speak_of_boxes(run, tmp_path):
    _, folder, _ = run
    write_page(open_run(folder), tmp_path / "a.html", device="cpu")
    text = (tmp_path / "a.html").read_text()
    assert "box AP" in text and "Box AP" in text and "mask" not in text
    last = str(folder / "model_final.pth")
    write_sheet(inference_config(folder / "config.yaml", last, "cpu"), tmp_path / "b.png")
    write_curves([folder, folder], tmp_path / "c.png")
    assert all((tmp_path / one).is_file() for one in ("b.png", "c.png"))


def test_batches_are_drawn(run):
    _, folder, _ = run
    cfg = inference_config(folder / "config.yaml", str(folder / "model_final.pth"), "cpu")
    sheet = batch_sheet(cfg, 2, 0)
    assert sheet.ndim == 3 and sheet.dtype == np.uint8


def test_the_page_lists_boxes(run, predictor, tmp_path):
    _, _, records = run
    rows = list_instances(find_instances(tmp_path / records[0]["file_name"], predictor))
    assert rows and all(0 < row.area <= 16 * 16 + 1 for row in rows)


def test_yolox_goes_the_same_way(tmp_path, monkeypatch):
    monkeypatch.setattr("solo.training.start.setup_run", lambda cfg, args: None)
    with registered(bright_records(tmp_path)) as name:
        cfg = make_yolox_cfg(NUM_CLASSES=0)
        cfg.DATASETS.TRAIN, cfg.SOLVER.IMS_PER_BATCH, cfg.SEED = (name,), 2, 1
        cfg.DATALOADER.NUM_WORKERS, cfg.INPUT.MAX_SIZE_TRAIN = 0, 128
        for_boxes(cfg, tmp_path).SOLVER.MAX_ITER = 2
        start(flags(write_config(cfg, tmp_path)))
        assert read_run_record(tmp_path / "out").last.outcome.best["metric"] == "bbox/AP"
        predictor = Predictor.from_run(tmp_path / "out", device="cpu")
        assert predictor.tasks == ("bbox",) and predictor.class_names == ("red", "green", "blue")
        found = predictor.raw(cv2.imread(str(tmp_path / "0.png")))
        assert len(found) and "pred_masks" not in found.get_fields()
        write_page(open_run(tmp_path / "out"), tmp_path / "a.html", device="cpu")
        assert "YOLOX" in (tmp_path / "a.html").read_text()
