"""From a file and options to a config: what lies over what, and what is refused."""

from pathlib import Path

import pytest
import torch

from solo.config.choices import KEYS
from solo.config.load import load_config
from tests.toys import registered

FILE = """
VERSION: 2
MODEL:
  META_ARCHITECTURE: "SOLOv2"
  WEIGHTS: "backbone.pkl"
  DEVICE: "cpu"
DATASETS:
  TRAIN: ("digits_train",)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def test_options_lie_over_the_file_and_the_data_tell_the_classes(path: Path) -> None:
    cfg = load_config(path, ["SOLVER.BASE_LR", "0.25"])
    assert (cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE) == ("backbone.pkl", "cpu")
    assert (cfg.SOLVER.BASE_LR, cfg.MODEL.SOLO.NUM_CLASSES) == (0.25, 10)
    assert cfg.is_frozen()
    assert load_config(path, needs_classes=False).MODEL.SOLO.NUM_CLASSES == 0


def test_a_trained_model_is_run_where_this_machine_can(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cfg = load_config(path, weights="")
    # Those of the file belong to its training.
    assert (cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE) == ("", "cuda")
    options = ["MODEL.WEIGHTS", "a.pth", "MODEL.DEVICE", "cpu"]
    cfg = load_config(path, options, weights="")
    assert (cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE) == ("a.pth", "cpu")
    cfg = load_config(path, options, weights="b.pth", device="cuda")
    assert (cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE) == ("b.pth", "cuda")


def test_a_gpu_that_is_missing_is_an_error_only_where_one_was_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load_config(path, ["MODEL.DEVICE", "cuda"]).MODEL.DEVICE == "cpu"
    assert "No GPU was found" in caplog.text
    for wrong in ({"device": "cuda"}, {"options": ["MODEL.DEVICE", "cuda"], "weights": ""}):
        with pytest.raises(ValueError, match="torch finds no CUDA device here"):
            load_config(path, **wrong)


def test_another_data_set_brings_its_classes(path: Path) -> None:
    with registered([]) as name:
        cfg = load_config(path, ["MODEL.SOLO.NUM_CLASSES", "10"], dataset=name)
        assert [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST] == [name]
        assert cfg.MODEL.SOLO.NUM_CLASSES == 3


@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_word_lists_the_right_ones(path: Path, key: str) -> None:
    with pytest.raises(
        ValueError, match=f"{key} is 'elsewise'; use one of {next(iter(KEYS[key]))}"
    ):
        load_config(path, [key, "elsewise"])


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("MODEL.META_ARCHITECTURE", "GeneralizedRCNN.* SOLO, SOLOv2"),
        ("MODEL.BACKBONE.NAME", "build_resnet_backbone, build_resnet_fpn_backbone"),
        ("MODEL.SOLO.HEAD", "DecoupledSOLOHead, .*SOLOv2Head"),
        ("MODEL.DEVICE", "cpu, cuda or cuda:1"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(path: Path, key: str, known: str) -> None:
    with pytest.raises(ValueError, match=rf"{key} is 'elsewise'.*{known}"):
        load_config(path, [key, "elsewise"])


def test_a_path_may_begin_with_the_folder_of_the_user(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    file = f"~/{path.name}"
    cfgs = (
        load_config(file, ["MODEL.WEIGHTS", "~/model.pth"]),
        load_config(file, weights="~/model.pth"),
        load_config(file, weights=Path("~/model.pth")),
    )
    assert {cfg.MODEL.WEIGHTS for cfg in cfgs} == {str(path.parent / "model.pth")}
