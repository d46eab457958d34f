"""The command line: what is wrong with it is said in one sentence, before any work."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from solo.training import load_config
from solo.training.run import setup_config
from tests.training.training_toys import CLASSES


def flags(tmp_path: Path, *opts: str, config_file: str = "", **others: Any) -> argparse.Namespace:
    own = ("OUTPUT_DIR", str(tmp_path / "out"), "DATASETS.TRAIN", "('toy_train',)")
    return argparse.Namespace(config_file=config_file, opts=[*own, *opts], **others)


def test_flags_become_a_frozen_config(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("SOLVER:\n  MAX_ITER: 7\n  BASE_LR: 0.5\n")
    cfg = load_config(flags(tmp_path, "SOLVER.BASE_LR", "0.25", config_file=str(path)))
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR) == (7, 0.25)
    assert len(CLASSES) == cfg.MODEL.SOLO.NUM_CLASSES
    assert cfg.is_frozen()


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("MODEL.SOLO.NUM_GRID", "MODEL.SOLO.NUM_GRIDS"),
        ("SOLVER.NUM_GRIDS", "MODEL.SOLO.NUM_GRIDS"),
        ("MODEL.SOLO.TEST.NMS_KERNAL", "MODEL.SOLO.TEST.NMS_KERNEL"),
    ],
)
@pytest.mark.parametrize("place", ["file", "command line"])
def test_an_unknown_key_is_named_with_the_nearest(
    tmp_path: Path, key: str, meant: str, place: str
) -> None:
    path = tmp_path / "config.yaml"
    *parents, leaf = key.split(".")
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(parents)]
    path.write_text("\n".join([*lines, f"{'  ' * len(parents)}{leaf}: 1"]))
    args = flags(tmp_path, config_file=str(path)) if place == "file" else flags(tmp_path, key, "1")
    with pytest.raises(ValueError, match=place) as caught:
        load_config(args)
    assert f"there is no key {key}; did you mean {meant}" in str(caught.value)


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (("SOLVER.MAX_ITER",), "'SOLVER.MAX_ITER' is alone"),
        (("SOLVER.MAX_ITER", "many"), "SOLVER.MAX_ITER"),
        (("SOLVER.MAX_ITER", "0"), "SOLVER.MAX_ITER is 0; it has to be 1 at least"),
        (("SOLVER.CHECKPOINT_PERIOD", "-1"), "SOLVER.CHECKPOINT_PERIOD is -1"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, opts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(flags(tmp_path, *opts))


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml does not exist"):
        load_config(flags(tmp_path, config_file=str(tmp_path / "nowhere.yaml")))
    path = tmp_path / "config.yaml"
    path.write_text("SOLVER: [")
    with pytest.raises(ValueError, match=r"config\.yaml is not plain yaml"):
        load_config(flags(tmp_path, config_file=str(path)))
    path.write_text("_BASE_: nowhere.yaml\n")
    with pytest.raises((ValueError, OSError), match=r"nowhere\.yaml"):
        load_config(flags(tmp_path, config_file=str(path)))
    path.write_text("SOLVER:\n  MAX_ITER: many\n")
    with pytest.raises(ValueError, match=r"config\.yaml.*SOLVER\.MAX_ITER"):
        load_config(flags(tmp_path, config_file=str(path)))


def test_a_config_file_runs_no_code(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "config.yaml"
    path.write_text(f"OUTPUT_DIR: !!python/object/apply:os.system ['touch {trace}']\n")
    with pytest.raises(ValueError, match="not plain yaml"):
        load_config(flags(tmp_path, config_file=str(path)))
    assert not trace.exists()


def test_an_output_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "out")
    with pytest.raises(OSError, match=r"OUTPUT_DIR .*out' cannot be written"):
        load_config(flags(tmp_path, "OUTPUT_DIR", folder))


def test_the_device_is_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load_config(flags(tmp_path, num_gpus=1)).MODEL.DEVICE == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert load_config(flags(tmp_path, num_gpus=1)).MODEL.DEVICE == "cuda"
    assert load_config(flags(tmp_path, num_gpus=0)).MODEL.DEVICE == "cpu"


@pytest.mark.slow
def test_setup_writes_config_and_log(tmp_path: Path) -> None:
    # In a process of its own, because it sets up logging for good.
    code = (
        "from test_setup import *;"
        f"setup_config(flags(Path({str(tmp_path)!r}), 'SEED', '5', eval_only=False));"
        "assert torch.initial_seed() == 5"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    assert "SEED: 5" in (tmp_path / "out/config.yaml").read_text()
    assert f"torch {torch.__version__}" in (tmp_path / "out/log.txt").read_text()
    assert callable(setup_config)
