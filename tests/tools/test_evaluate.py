"""The command that evaluates, from its arguments to its tables."""

import logging

import pytest
import torch

from solo.inference import Predictor, TileRule
from solo.tools import evaluate
from tests.conftest import build
from tests.toys import registered, square, toy_cfg, write_config, write_records


@pytest.fixture
def arguments(tmp_path):
    """A tiny untrained model, and two images."""
    with registered(write_records(tmp_path, [[square(4, 4, 20)], [square(9, 9, 20, 1)]])) as name:
        cfg = toy_cfg(name)
        torch.save({"model": build(cfg).state_dict()}, tmp_path / "model.pth")
        files = [
            "--config-file",
            str(write_config(cfg, tmp_path)),
            "--weights",
            str(tmp_path / "model.pth"),
        ]
        yield [*files, "--device", "cpu", "--dataset", name]


def test_prints_the_tables(arguments, tmp_path, caplog, monkeypatch):
    # Of the whole process: it would write to the stream of this test in later ones.
    monkeypatch.setattr(evaluate, "setup_logger", lambda name: None)
    output = tmp_path / "out"
    with caplog.at_level(logging.INFO):
        evaluate.main([*arguments, "--output", str(output), "--num-images", "1"])
    assert "copypaste: Task: segm" in caplog.messages
    assert (output / "coco_instances_results.json").is_file()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--dataset", "no_such_set"], "There is no data set 'no_such_set'"),
        (["--weights", "none.pth"], r"none\.pth"),
        (["--num-images", "0"], "ask for 1 at least"),
        (["--tiles", "8"], "give 32 pixels or more"),
        (["MODEL.NO_SUCH_KEY", "1"], r"MODEL\.NO_SUCH_KEY"),
    ],
)
def test_errors_are_one_sentence(arguments, more, words, monkeypatch):
    monkeypatch.setattr(evaluate, "setup_logger", lambda name: None)
    with pytest.raises(SystemExit, match=f"^error: .*{words}"):
        evaluate.main([*arguments, *more])


def test_an_exported_file(monkeypatch):
    monkeypatch.setattr(Predictor, "from_onnx", lambda path, **options: (path, options))
    arguments = ["--onnx", "model.onnx", "--dataset", "digits_val"]
    args = evaluate.parse_arguments(arguments)
    assert evaluate.build_predictor(args) == ("model.onnx", {"mask_format": "rle", "tiles": None})
    args = evaluate.parse_arguments([*arguments, "--tiles", "512"])
    assert evaluate.build_predictor(args)[1]["tiles"] == TileRule(size=512)


@pytest.mark.parametrize("more", [["--weights", "w.pth"], ["--device", "cpu"], ["SEED", "3"]])
def test_an_exported_file_holds_everything(more, capsys):
    with pytest.raises(SystemExit):
        evaluate.parse_arguments(["--onnx", "model.onnx", "--dataset", "digits_val", *more])
    assert "--onnx FILE holds weights and config" in capsys.readouterr().err
