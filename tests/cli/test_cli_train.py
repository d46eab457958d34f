"""`solo train` as a user calls it."""

import dataclasses

import pytest

from solo.config.load import load_config
from tests.conftest import make_cfg
from tests.data.annotated import scenes, write_coco
from tests.data.formats.conftest import forget  # noqa: F401
from tests.toys import write_config


def told(solo, capsys, *words):
    """Return what a mistake is told as."""
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(solo(*words))
    assert stop.value.code
    return str(stop.value.code) + capsys.readouterr().err


def test_epochs_of_a_config_are_a_key(solo, capsys):
    words = ("train", "--config", "quickstart/solov2_digits", "--epochs", "5")
    assert "set SOLVER.EPOCHS 5 at the end" in told(solo, capsys, *words)


def test_data_are_planned_by_one_process(solo, capsys, monkeypatch):
    assert "plan.yaml by --config" in told(
        solo, capsys, "train", "--data", "cats", "--num-machines", "2"
    )
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    assert "under torchrun train its plan.yaml by --config" in told(
        solo, capsys, "train", "--data", "cats"
    )


def test_the_plan_is_what_is_trained(solo, tmp_path, capsys):
    scene = scenes(parts=False, holes=False)[0]
    (tmp_path / "cats").mkdir()
    write_coco(
        tmp_path / "cats",
        [dataclasses.replace(scene, file_name=f"{index}.png") for index in range(4)],
    )
    cfg = make_cfg()
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (64,), 96
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 64, 96
    cfg.SOLVER.EPOCHS = 50.0
    model = write_config(cfg, tmp_path)
    words = ("train", "--data", "cats", "--output", "out", "--device", "cpu", "--model", model)
    given = ("DATALOADER.NUM_WORKERS", 0, "SOLVER.EPOCHS", 7, "SOLVER.MAX_ITER", 1)
    assert not solo(*words, *given)
    trained = load_config(tmp_path / "out" / "config.yaml")
    assert (trained.SOLVER.EPOCHS, trained.SOLVER.MAX_ITER, trained.TEST.EVAL_PERIOD) == (0, 1, 1)
    capsys.readouterr()
    assert not solo(*words, "--resume", "SOLVER.MAX_ITER", 2)
    assert "ignored: --model, --device" in capsys.readouterr().out
    assert load_config(tmp_path / "out" / "config.yaml").SOLVER.MAX_ITER == 2
