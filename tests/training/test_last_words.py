"""The end of a training, as people read it."""

import json
from pathlib import Path

import pytest

from solo.training.last_words import tell_end, tell_evaluation, tell_stop, told_log
from tests.training.training_toys import toy_config


def run_folder(tmp_path: Path, *names: str) -> Path:
    lines = [
        {"iteration": 1, "total_loss": 2.0, "segm/AP": 50.0, "segm/AP50": 60.0},
        {"iteration": 4, "segm/AP": 40.0},
    ]
    (tmp_path / "metrics.json").write_text("\n".join(map(json.dumps, lines)))
    for name in names:
        (tmp_path / name).write_text("")
    return tmp_path


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_best_and_last_are_told_apart(tmp_path, capsys):
    folder = run_folder(tmp_path, "model_best.pth", "model_final.pth", "log.txt")
    cfg = toy_config(folder, MAX_ITER=4)
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("toy_val",), 2
    results = {"bbox": {"AP": 30.0}, "segm": {"AP": 40.0, "AP50": 55.0, "AP-round": 1.0}}
    tell_end(cfg, results, done=4, seconds=150.0)
    told = words(capsys.readouterr().out)
    assert told == [
        "",
        "(iteration) AP AP50",
        "mask, last (4) 40.0 55.0",
        "mask, best (2) 50.0 60.0",
        "box, last (4) 30.0 -",
        "",
        f"written: {folder}/model_best.pth, of iteration 2",
        f"written: {folder}/model_final.pth, of iteration 4",
        f"written: {folder}/log.txt",
        "time: 2 min",
        f"next: solo predict --model {folder} photo.jpg",
        f"solo report {folder}",
        f"solo export --model {folder} --output exported/",
    ]


def test_an_early_end_says_so_and_nothing_is_evaluated(tmp_path, capsys):
    cfg = toy_config(tmp_path, MAX_ITER=9)
    tell_end(cfg, {}, done=6, seconds=1.0)
    assert "Stopped" not in capsys.readouterr().out
    cfg.TEST.PATIENCE = 2
    tell_end(cfg, {}, done=6, seconds=1.0)
    told = capsys.readouterr().out
    assert "Stopped early, in iteration 6 of 9" in told and "best" not in told


def test_several_data_sets_and_views(tmp_path, capsys):
    cfg = toy_config(tmp_path, MAX_ITER=4)
    cfg.DATASETS.TEST = ("a", "b")
    results = {
        "a": {"segm": {"AP": 1.0}},
        "b": {"segm": {"AP": 2.0}},
        "a_TTA": {"segm": {"AP": 3.0}},
    }
    tell_end(cfg, results, done=4, seconds=1.0)
    told = words(capsys.readouterr().out)
    assert told[2:5] == [
        f"{n} mask, last (4) {ap}"
        for n, ap in zip(("a", "b", "a_TTA"), (1.0, 2.0, 3.0), strict=True)
    ]


def test_predictions_are_told_of_where_there_are_any(tmp_path, capsys):
    cfg = toy_config(tmp_path)
    cfg.DATASETS.TEST = ("streets", "pets")
    pets = tmp_path / "inference" / "pets"
    pets.mkdir(parents=True)
    (pets / "coco_instances_results.json").touch()
    tell_evaluation(cfg, {"segm": {"AP": 1.0}}, verbose=False)
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if "written" in line] == [f"written: predictions in {pets}"]


def test_a_stop_says_what_is_kept(tmp_path, capsys):
    run_folder(tmp_path, "model_0000001.pth", "model_best.pth")
    tell_stop(toy_config(tmp_path), "Stopped in iteration 3 of 9.")
    told = capsys.readouterr()
    assert (
        told.err
        == f"Stopped in iteration 3 of 9.\nkept in {tmp_path}: model_0000001.pth, model_best.pth, log.txt\n"
    )
    assert not told.out


def test_a_failure_says_where_the_log_is(tmp_path, capsys):
    cfg = toy_config(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: a sentence$"), told_log(cfg):
        raise SystemExit("error: a sentence")
    (tmp_path / "log.txt").write_text("")
    with (
        pytest.raises(SystemExit, match=rf"^error: a sentence\nlog: {tmp_path}/log.txt$"),
        told_log(cfg),
    ):
        raise SystemExit("error: a sentence")
    with pytest.raises(SystemExit) as caught, told_log(cfg):
        raise SystemExit(130)
    assert caught.value.code == 130
    with pytest.raises(RuntimeError), told_log(cfg):
        raise RuntimeError
    assert capsys.readouterr().err == f"log: {tmp_path}/log.txt\n"
