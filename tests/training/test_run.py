"""From the flags of a run to its config, and what each of its processes sets up."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from solo.training import training_config
from tests.training.training_toys import CLASSES


def flags(tmp_path: Path, *opts: str, config_file: str = "", **others: Any) -> argparse.Namespace:
    own = ("OUTPUT_DIR", str(tmp_path / "out"), "DATASETS.TRAIN", "('toy_train',)")
    return argparse.Namespace(config_file=config_file, opts=[*own, *opts], **others)


def test_flags_become_a_frozen_config(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("SOLVER:\n  MAX_ITER: 7\n  BASE_LR: 0.5\n")
    cfg = training_config(flags(tmp_path, "SOLVER.BASE_LR", "0.25", config_file=str(path)))
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR) == (7, 0.25)
    assert len(CLASSES) == cfg.MODEL.SOLO.NUM_CLASSES
    assert cfg.is_frozen()


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (("SOLVER.MAX_ITER", "0"), "SOLVER.MAX_ITER is 0; it has to be 1 at least"),
        (("SOLVER.CHECKPOINT_PERIOD", "-1"), "SOLVER.CHECKPOINT_PERIOD is -1"),
    ],
)
def test_wrong_numbers_are_named(tmp_path: Path, opts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_config(flags(tmp_path, *opts))


def test_an_output_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "out")
    with pytest.raises(OSError, match=r"OUTPUT_DIR .*out' cannot be written"):
        training_config(flags(tmp_path, "OUTPUT_DIR", folder))


def test_the_device_is_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_config(flags(tmp_path, num_gpus=1)).MODEL.DEVICE == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training_config(flags(tmp_path, num_gpus=1)).MODEL.DEVICE == "cuda"
    assert training_config(flags(tmp_path, num_gpus=0)).MODEL.DEVICE == "cpu"


@pytest.mark.slow
def test_setup_writes_config_and_log(tmp_path: Path) -> None:
    # In a process of its own, because it sets up logging for good.
    code = (
        "from solo.training import setup_config;"
        "from tests.training.test_run import *;"
        f"setup_config(flags(Path({str(tmp_path)!r}), 'SEED', '5', eval_only=False));"
        "assert torch.initial_seed() == 5"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    assert "SEED: 5" in (tmp_path / "out/config.yaml").read_text()
    assert f"torch {torch.__version__}" in (tmp_path / "out/log.txt").read_text()
