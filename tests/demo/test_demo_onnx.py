"""The demo with an exported model in place of a config and a checkpoint."""

import json

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances

from solo.inference import Predictor, TileRule


class OnePixel:
    """Finds the first pixel of each image, as class 1."""

    class_names = ("zero", "one")
    category_ids = (10, 11)

    def find(self, images, least=0.0):
        return [self.find_one(image) for image in images]

    def find_one(self, image):
        masks = torch.zeros(1, *image.shape[:2], dtype=torch.bool)
        masks[0, 0, 0] = True
        return Instances(
            image.shape[:2],
            pred_masks=masks,
            pred_boxes=Boxes([[0.0, 0.0, 1.0, 1.0]]),
            pred_classes=torch.tensor([1]),
            scores=torch.tensor([0.9]),
        )


@pytest.fixture
def made(monkeypatch):
    """With which options predictors were made."""
    made = []

    def from_exported(path, *, threads, mask_format, tiles, amp):
        assert not amp and not threads
        made.append((str(path), mask_format, tiles))
        return Predictor(OnePixel(), tiles=tiles)

    monkeypatch.setattr(Predictor, "from_exported", from_exported)
    return made


def test_draws_what_the_file_finds(demo, photo, tmp_path, made, make_picture):
    found = tmp_path / "found.json"
    arguments = ["--onnx", "model.onnx", "--input", str(photo()), "--json", str(found)]
    assert demo.main(arguments) == 0
    assert made == [("model.onnx", "rle", None)]
    (record,) = json.loads(found.read_text())
    assert (record["category_id"], record["category_name"]) == (11, "one")
    assert record["bbox"] == [0, 0, 1, 1] and record["score"] == pytest.approx(0.9, abs=1e-5)
    assert record["segmentation"]["size"] == list(np.shape(make_picture())[:2])


def test_tiles_are_put_together_from_run_lengths(demo, photo, tmp_path, made):
    arguments = ["--onnx", "model.onnx", "--input", str(photo()), "--tiles", "64"]
    assert demo.main([*arguments, "--json", str(tmp_path / "found.json")]) == 0
    assert made == [("model.onnx", "rle", TileRule(size=64))]


@pytest.mark.parametrize(
    "more",
    [["--config-file", "c.yaml"], ["--weights", "w.pth"], ["--opts", "INPUT.MIN_SIZE_TEST", "9"]],
)
def test_there_is_one_model(demo, capsys, more):
    with pytest.raises(SystemExit):
        demo.main(["--onnx", "model.onnx", "--input", "a.png", "--json", "a.json", *more])
    assert "--onnx" in capsys.readouterr().err


def test_a_missing_file_is_named(demo, photo, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    arguments = ["--onnx", str(tmp_path / "none.onnx"), "--input", str(photo())]
    assert demo.main([*arguments, "--json", str(tmp_path / "a.json")]) == 1
    assert "none.onnx: no such file" in capsys.readouterr().err
