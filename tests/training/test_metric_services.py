"""Where LOGGERS sends the numbers: what metrics.json has, in one run, and nothing that stops a training."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from detectron2.config import CfgNode

from solo.config.choices import check_words
from solo.errors import UserError
from solo.training.metric_services import check_loggers
from tests.training.training_toys import ToyTrainer, toy_config, train

# The part of W&B's interface that is called, with its own names, which notes what it is told.
STAND_IN = """
import json
from pathlib import Path

class Run:
    def __init__(self, id, dir):
        self.id, self.path = id or "first", Path(dir, "told.jsonl")

    def tell(self, *values):
        with self.path.open("a") as file:
            file.write(json.dumps(values) + "\\n")

    def log(self, data, step=None):
        {log}
        self.tell("log", step, data)

    def finish(self, exit_code=None):
        self.tell("finish", exit_code)

def init(*, id=None, resume=None, dir=None, config=None):
    {init}
    run = Run(id, dir)
    run.tell("init", id, resume, config["SOLVER"]["MAX_ITER"])
    return run
"""


@pytest.fixture(autouse=True)
def no_stand_in_is_left() -> Iterator[None]:
    yield
    if not hasattr(sys.modules.get("wandb"), "__version__"):
        sys.modules.pop("wandb", None)


def stand_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, log: str = "", init: str = ""
) -> None:
    folder.mkdir()
    (folder / "wandb.py").write_text(
        STAND_IN.replace("{log}", log or "pass").replace("{init}", init or "pass")
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr("solo.training.trainer._LOG_PERIOD", 2)


def logged_config(folder: Path, *loggers: str, **solver: Any) -> CfgNode:
    cfg = toy_config(folder, STEPS=(), WARMUP_ITERS=0, **solver)
    cfg.LOGGERS = loggers
    return cfg


def told(folder: Path) -> list[list[Any]]:
    return [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]


def test_a_service_gets_what_metrics_json_has_and_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "modules", monkeypatch)
    train(logged_config(tmp_path / "run", "wandb", MAX_ITER=4))
    train(logged_config(tmp_path / "run", "wandb"), resume=True)
    calls = told(tmp_path / "run")
    assert [call[:3] for call in calls if call[0] == "init"] == [
        ["init", None, None],
        ["init", "first", "allow"],
    ]
    assert [call for call in calls if call[0] == "finish"] == [["finish", 0], ["finish", 0]]
    lines = map(json.loads, (tmp_path / "run/metrics.json").read_text().splitlines())
    expected = [(line.pop("iteration"), line) for line in lines]
    assert [(call[1], call[2]) for call in calls if call[0] == "log"] == expected
    assert [iteration for iteration, _ in expected] == [1, 3, 5]
    # Without tensorboard in LOGGERS there is none.
    assert not list((tmp_path / "run").glob("events*"))
    # Another run in the same folder is another one there, too.
    train(logged_config(tmp_path / "run", "wandb"))
    inits = [call[:3] for call in told(tmp_path / "run") if call[0] == "init"]
    assert inits[2:] == [["init", None, None]]
    assert (tmp_path / "run/previous/loggers.json").is_file()


@pytest.mark.parametrize(
    "fault",
    [
        {"init": "raise RuntimeError('no net')"},
        {"log": "if step > 1: raise RuntimeError('no net')"},
    ],
)
def test_a_service_that_fails_is_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, str],
) -> None:
    stand_in(tmp_path / "modules", monkeypatch, **fault)
    assert train(logged_config(tmp_path / "run", "wandb")).iter == 6
    (message,) = [text for text in caplog.messages if "no net" in text]
    assert message == "wandb gets nothing from here on (no net): the training goes on."
    assert (tmp_path / "run/model_final.pth").is_file()


def test_a_run_that_failed_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "modules", monkeypatch)
    trainer = ToyTrainer(logged_config(tmp_path / "run", "wandb"))
    trainer.resume_or_load()
    trainer.build_train_loader = lambda start_iteration: iter([])
    with pytest.raises(StopIteration):
        trainer.train()
    assert told(tmp_path / "run")[-1] == ["finish", 1]


def test_what_is_not_installed_is_said_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match="mlflow, which is not installed: pip install mlflow, or"):
        check_loggers(logged_config(tmp_path, "tensorboard", "mlflow"))
    # W&B leaves a folder of its own name, which can be imported, in some versions.
    (tmp_path / "modules/wandb").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules")])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(UserError, match="pip install wandb"):
        check_loggers(logged_config(tmp_path, "wandb"))
    check_loggers(logged_config(tmp_path, "tensorboard"))
    check_loggers(logged_config(tmp_path))


def test_an_unknown_logger_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="LOGGERS is 'comet'; use one of tensorboard, wandb, mlflow"
    ):
        check_words(logged_config(tmp_path, "comet"))


def test_mlflow_itself_has_the_numbers_and_the_config_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    monkeypatch.setattr("solo.training.trainer._LOG_PERIOD", 2)
    train(logged_config(tmp_path / "run", "mlflow", MAX_ITER=4))
    train(logged_config(tmp_path / "run", "mlflow"), resume=True)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["SOLVER.IMS_PER_BATCH"] == "4"
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "total_loss")
    lines = map(json.loads, (tmp_path / "run/metrics.json").read_text().splitlines())
    expected = [(line["iteration"], line["total_loss"]) for line in lines]
    assert [(item.step, item.value) for item in history] == expected


def test_wandb_itself_takes_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("solo.training.trainer._LOG_PERIOD", 2)
    train(logged_config(tmp_path / "run", "wandb", MAX_ITER=4))
    train(logged_config(tmp_path / "run", "wandb"), resume=True)
    assert "gets nothing" not in caplog.text
    folders = [path.name.rpartition("-")[2] for path in (tmp_path / "run/wandb").glob("offline-*")]
    assert len(set(folders)) == 1
