"""The command that draws predictions on a data set, with a predictor that is known."""

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from solo.cli.main import main
from solo.report import pages


class Everything:
    """Predicts the whole image as class 0."""

    class_names = ("all",)
    threshold = 0.5

    def __init__(self, cfg):
        self.cfg = cfg

    def __call__(self, image, *, threshold):
        assert threshold == 0.5
        found = Instances(image.shape[:2])
        found.pred_masks = torch.ones((1, *image.shape[:2]), dtype=torch.bool)
        found.pred_classes = torch.tensor([0])
        found.scores = torch.tensor([0.9])
        return found


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), dtype=np.uint8))
    records = [{"file_name": str(tmp_path / "a.png"), "annotations": []}] * 3
    DatasetCatalog.register("sheet_test", lambda: records)
    (tmp_path / "config.yaml").write_text('VERSION: 2\nDATASETS: {TEST: ["sheet_test"]}\n')
    monkeypatch.setattr(pages, "TorchBackend", lambda cfg: cfg)
    monkeypatch.setattr(pages, "Predictor", Everything)
    yield ["--config-file", str(tmp_path / "config.yaml"), "--sheet", str(tmp_path / "s/out.png")]
    DatasetCatalog.remove("sheet_test")
    MetadataCatalog.pop("sheet_test", None)


def test_writes_a_sheet(arguments, tmp_path):
    main(["report", *arguments, "--num-images", "2", "SEED", "3"])
    sheet = cv2.imread(str(tmp_path / "s" / "out.png"))
    assert np.ptp(sheet, axis=2).max() > 60, "the prediction is in colour"


class Renumbered(Everything):
    """Knows the classes of the data set in another order."""

    class_names = ("all", "other")
    category_ids = (0, 1)


def test_classes_go_by_name(arguments, monkeypatch):
    monkeypatch.setattr(pages, "Predictor", Renumbered)
    MetadataCatalog.get("sheet_test").set(thing_classes=["other", "all"])
    drawn = []
    monkeypatch.setattr(pages, "prediction_sheet", lambda rows, names, **_: drawn.extend(rows))
    monkeypatch.setattr(pages, "write_picture", lambda *_: None)
    main(["report", *arguments])
    assert [row.prediction.pred_classes.tolist() for row in drawn] == [[1]] * 3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--dataset", "no_such_set"], "no data set 'no_such_set'"),
        (["--sheet", "sheet.xyz"], "ends in"),
        (["--num-images", "0"], "Cannot take 0 images"),
        (["NO_SUCH_KEY", "1"], "NO_SUCH_KEY"),
    ],
)
def test_errors_are_one_sentence(arguments, more, words):
    with pytest.raises(SystemExit, match=words):
        main(["report", *arguments, *more])
