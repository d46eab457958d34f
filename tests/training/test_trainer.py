"""The loop: exact resumption, honest failure, and what is left on the disk."""

import json
import math
import os
import signal
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from detectron2.modeling import build_model
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from solo.checkpoint import read_checkpoint
from solo.errors import UserError
from solo.report.run_folder import open_run
from solo.training import Trainer, told_lost_loaders
from tests.training.training_toys import ToyTrainer, solov2_config, toy_config, train


def weights_of(path: Path) -> dict[str, Tensor]:
    return read_checkpoint(path)["model"]


def assert_same_weights(path: Path, other: Path) -> None:
    ours, theirs = weights_of(path), weights_of(other)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


def break_at(trainer: ToyTrainer, iteration: int, error: BaseException) -> None:
    """Raise an error in place of the batch of an iteration."""
    build = trainer.build_train_loader

    def build_broken(start_iteration: int) -> Any:
        for position, batch in enumerate(build(start_iteration), start_iteration):
            if position == iteration:
                raise error
            yield batch

    trainer.build_train_loader = build_broken


def train_broken(cfg: Any, iteration: int, error: BaseException) -> ToyTrainer:
    trainer = ToyTrainer(cfg)
    trainer.resume_or_load()
    break_at(trainer, iteration, error)
    with pytest.raises(type(error)):
        trainer.train()
    return trainer


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path, optimizer: str) -> None:
    # With random numbers in the model, warm-up, a step of the learning rate, and momentum.
    configs = [toy_config(tmp_path / name, OPTIMIZER=optimizer) for name in ("whole", "broken")]
    for cfg in configs:
        cfg.MODEL.DROPOUT = 0.5
        cfg.SOLVER.CLIP_GRADIENTS.ENABLED = True
    train(configs[0])

    train_broken(configs[1], 5, RuntimeError("power cut"))
    resumed = train(configs[1], resume=True)

    assert resumed.start_iter == 4
    assert_same_weights(tmp_path / "whole/model_final.pth", tmp_path / "broken/model_final.pth")


def test_a_full_disk_stops_at_a_checkpoint_with_a_sentence(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file_size_limit: Callable[[int], AbstractContextManager[None]],
) -> None:
    train(toy_config(tmp_path, MAX_ITER=2))
    trainer = ToyTrainer(toy_config(tmp_path))
    trainer.resume_or_load(resume=True)
    with (
        file_size_limit(2000),
        pytest.raises(OSError, match=r"3\.pth cannot .*model_final\.pth\.$"),
    ):
        trainer.train()
    assert "ERROR" in [record.levelname for record in caplog.records]
    assert not any(record.exc_info for record in caplog.records)
    assert not list(tmp_path.glob("*0003*")) and not list(tmp_path.glob(".*partial*"))
    train(toy_config(tmp_path), resume=True)


def test_bfloat16_on_the_cpu_trains_and_resumes(tmp_path: Path) -> None:
    configs = [toy_config(tmp_path / name) for name in ("whole", "broken", "full_precision")]
    for cfg in configs[:2]:
        cfg.SOLVER.AMP.ENABLED = True
        cfg.MODEL.CPU.BFLOAT16 = "on"  # also where it is emulated
    train(configs[0])
    train_broken(configs[1], 3, RuntimeError("power cut"))
    train(configs[1], resume=True)
    assert_same_weights(tmp_path / "whole/model_final.pth", tmp_path / "broken/model_final.pth")
    train(configs[2])
    exact, rounded = (
        weights_of(tmp_path / name / "model_final.pth")["mask.weight"]
        for name in ("full_precision", "whole")
    )
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, atol=0.05, rtol=0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path: Path, bad: float) -> None:
    cfg = toy_config(tmp_path)
    trainer = ToyTrainer(cfg)
    trainer.resume_or_load()
    build = trainer.build_train_loader

    def build_bad(start_iteration: int) -> Any:
        for position, batch in enumerate(build(start_iteration), start_iteration):
            if position == 3:
                batch[1]["image"] = torch.full_like(batch[1]["image"], bad)
            yield batch

    trainer.build_train_loader = build_bad
    with pytest.raises(FloatingPointError) as caught:
        trainer.train()

    message = str(caught.value)
    for part in ("iteration 3", "loss_category = nan", "loss_mask = nan", "3_0.png", "3_1.png"):
        assert part in message
    assert str(tmp_path / "model_0000001.pth") in message
    assert not (tmp_path / "model_final.pth").exists()
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["model_0000001.pth"]
    assert all(torch.isfinite(value).all() for value in trainer.module.state_dict().values())
    # Weights of the third step, which went well, are what the model is left with.
    reference = train(toy_config(tmp_path / "three", MAX_ITER=6, CHECKPOINT_PERIOD=3))
    assert reference.iter == 6
    saved = weights_of(tmp_path / "three/model_0000002.pth")
    assert torch.equal(saved["mask.weight"], trainer.module.mask.weight)


class KilledAtNumber12(Dataset):
    """Images of the toys; the process that loads the one of this number is killed."""

    def __init__(self, how: signal.Signals = signal.SIGKILL) -> None:
        self._how = how

    def __getitem__(self, number: int) -> dict[str, Any]:
        if number == 12:
            os.kill(os.getpid(), self._how)
        return {"image": torch.zeros(3, 8, 8), "file_name": ""}


def trainer_that_loses_its_loader(tmp_path: Path, how: signal.Signals) -> ToyTrainer:
    cfg = toy_config(tmp_path)
    cfg.DATALOADER.NUM_WORKERS = 1
    trainer = ToyTrainer(cfg)
    trainer.resume_or_load()
    options = {"batch_size": 4, "sampler": range(24), "collate_fn": list, "num_workers": 1}
    # Few ahead, so that the steps before are taken.
    loader = DataLoader(KilledAtNumber12(how), prefetch_factor=1, **options)
    trainer.build_train_loader = lambda start_iteration: loader
    return trainer


def test_a_killed_process_of_the_loader_is_told_in_a_sentence(tmp_path: Path) -> None:
    trainer = trainer_that_loses_its_loader(tmp_path, signal.SIGKILL)
    sentence = (
        r"has ended \(DataLoader worker \(pid.*\), .* memory .* DATALOADER\.NUM_WORKERS, which is 1"
        rf".*--resume continues from {tmp_path}/model_0000001\.pth\.$"
    )
    with pytest.raises(UserError, match=sentence):
        trainer.train()


def test_a_signal_to_the_whole_job_is_a_stop(tmp_path: Path) -> None:
    trainer = trainer_that_loses_its_loader(tmp_path, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match=r"^SIGTERM$"):
        trainer.train()


def test_other_failures_are_no_lost_loaders(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="bug"), told_lost_loaders(toy_config(tmp_path)):
        raise RuntimeError("bug")


def test_an_infinite_gradient_does_not_reach_the_checkpoint(tmp_path: Path) -> None:
    trainer = ToyTrainer(toy_config(tmp_path))
    trainer.resume_or_load()
    trainer.module.mask.weight.register_hook(
        lambda gradient: gradient * (math.inf if trainer.iter == 3 else 1)
    )
    with pytest.raises(FloatingPointError, match=r"model_0000003\.pth is not saved: mask\.weight"):
        trainer.train()
    assert trainer.checkpointer.get_checkpoint_file() == str(tmp_path / "model_0000001.pth")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("bug")])
def test_a_failure_in_the_last_step_neither_evaluates_nor_saves(
    tmp_path: Path, error: BaseException
) -> None:
    cfg = toy_config(tmp_path)
    cfg.DATASETS.TEST = ("toy_val",)
    trainer = train_broken(cfg, 5, error)
    assert trainer.evaluated_at == []
    assert not (tmp_path / "model_final.pth").exists()
    assert trainer.how_to_resume() == (
        f"The same command with --resume continues from {tmp_path / 'model_0000003.pth'}."
    )


def test_what_to_resume_is_of_this_run(tmp_path: Path) -> None:
    train(toy_config(tmp_path))
    trainer = train_broken(toy_config(tmp_path), 1, KeyboardInterrupt())
    assert trainer.how_to_resume().startswith("No checkpoint was saved yet")


def test_a_state_of_other_parameters_is_refused_in_a_sentence(tmp_path: Path) -> None:
    trainer = ToyTrainer(toy_config(tmp_path))
    other = torch.optim.SGD([torch.zeros(1)], lr=1).state_dict()
    with pytest.raises(UserError, match=r"cannot be continued: .* Resume with the config"):
        trainer.load_state_dict({**trainer.state_dict(), "optimizer": other})


def test_the_best_evaluation_is_kept_also_over_an_interruption(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    cfg.DATASETS.TEST = ("toy_val",)
    cfg.TEST.EVAL_PERIOD = 1
    trainer = ToyTrainer(cfg, aps=(10.0, math.nan, 30.0, 20.0))
    trainer.resume_or_load()
    break_at(trainer, 4, RuntimeError("power cut"))
    with pytest.raises(RuntimeError):
        trainer.train()
    best = read_checkpoint(tmp_path / "model_best.pth")
    assert best["best"] == {"metric": "segm/AP", "value": 30.0, "iteration": 2}
    assert "trainer" not in best

    train(cfg, resume=True, aps=(25.0, 29.0))
    assert read_checkpoint(tmp_path / "model_best.pth")["best"]["iteration"] == 2
    # A run of its own does not compare itself with an earlier one.
    finished = train(cfg, aps=(1.0, 2.0, 3.0, 4.0, 6.0, 5.0))
    assert read_checkpoint(tmp_path / "model_best.pth")["best"]["value"] == 6.0
    assert finished.evaluated_at == [0, 1, 2, 3, 4, 6]


def test_metrics_hold_every_iteration_once(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("solo.training.trainer._LOG_PERIOD", 1)
    cfg = toy_config(tmp_path)
    train_broken(cfg, 5, RuntimeError("power cut"))
    metrics = tmp_path / "metrics.json"
    with metrics.open("a") as file:
        file.write('{"iteration": 5, "total_lo')
    train(cfg, resume=True)
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    losses = [record for record in records if "total_loss" in record]
    assert [record["iteration"] for record in losses] == [0, 1, 2, 3, 4, 5]
    assert all({"lr", "data_time"} <= record.keys() for record in losses)
    # Later ones are medians over a window.
    first = losses[0]
    assert first["total_loss"] == pytest.approx(first["loss_category"] + first["loss_mask"])

    train(cfg)
    assert len(metrics.read_text().splitlines()) == len(records)
    assert len((tmp_path / "previous/metrics.json").read_text().splitlines()) == len(records)


def test_an_earlier_run_stays_and_is_not_taken_for_this_one(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    (tmp_path / "config.yaml").write_text("VERSION: 2\nMODEL: {DEVICE: cpu}\n")
    train(cfg)
    before = (tmp_path / "model_final.pth").read_bytes()
    train_broken(cfg, 1, RuntimeError("power cut"))
    assert open_run(tmp_path / "previous").weights == tmp_path / "previous/model_final.pth"
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        open_run(tmp_path)
    # What ended without a checkpoint is nothing to set aside.
    train_broken(cfg, 3, RuntimeError("power cut"))
    assert (tmp_path / "previous/model_final.pth").read_bytes() == before
    assert open_run(tmp_path).weights == tmp_path / "model_0000001.pth"
    train(cfg, resume=True)
    assert open_run(tmp_path).weights == tmp_path / "model_final.pth"


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    train(cfg)
    before = (tmp_path / "model_final.pth").stat().st_mtime_ns
    cfg.DATASETS.TEST = ("toy_val",)
    trainer = ToyTrainer(cfg, aps=(12.0,))
    trainer.resume_or_load(resume=True)
    assert trainer.train() == {"segm": {"AP": 12.0}}
    assert (tmp_path / "model_final.pth").stat().st_mtime_ns == before


def test_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    cfg.SOLVER.CHECKPOINT_PERIOD, cfg.SOLVER.KEEP_CHECKPOINTS = 1, 2
    train(cfg)
    last = cfg.SOLVER.MAX_ITER - 1
    names = [f"model_{last - 1:07d}.pth", f"model_{last:07d}.pth", "model_final.pth"]
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == names


def test_evaluations_closer_than_the_log_are_all_written(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("toy_val",), 1
    train(cfg, aps=tuple(range(1, cfg.SOLVER.MAX_ITER + 2)))
    lines = map(json.loads, (tmp_path / "metrics.json").read_text().splitlines())
    written = [line["segm/AP"] for line in lines if "segm/AP" in line]
    assert written[: cfg.SOLVER.MAX_ITER] == list(range(1, cfg.SOLVER.MAX_ITER + 1))


def test_resume_without_a_checkpoint_starts(tmp_path: Path) -> None:
    assert train(toy_config(tmp_path), resume=True).start_iter == 0


def test_weights_are_loaded_without_the_position(tmp_path: Path) -> None:
    train(toy_config(tmp_path / "first"))
    cfg = toy_config(tmp_path / "second")
    cfg.MODEL.WEIGHTS = str(tmp_path / "first/model_final.pth")
    trainer = ToyTrainer(cfg)
    trainer.resume_or_load()
    assert trainer.start_iter == 0
    assert torch.equal(
        trainer.module.mask.weight, weights_of(Path(cfg.MODEL.WEIGHTS))["mask.weight"]
    )


def test_bare_weights_cannot_be_resumed(tmp_path: Path) -> None:
    trainer = ToyTrainer(toy_config(tmp_path))
    trainer.checkpointer.save_weights("bare")
    trainer.checkpointer.tag_last_checkpoint("bare.pth")
    with pytest.raises(ValueError, match=r"bare\.pth has weights only"):
        trainer.resume_or_load(resume=True)


def test_learning_rate_scales_with_the_workers(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path, REFERENCE_WORLD_SIZE=2, STEPS=(), MAX_ITER=6)
    trainer = ToyTrainer(cfg)
    assert pytest.approx(0.025) == trainer.cfg.SOLVER.BASE_LR
    assert trainer.max_iter == 12


def test_augmented_views_are_evaluated_at_the_end(tmp_path: Path, monkeypatch: Any) -> None:
    cfg = solov2_config(tmp_path)
    cfg.TEST.AUG.ENABLED = True
    model = build_model(cfg).train()
    seen = []

    def evaluate(cfg: Any, model: Any, datasets: Any = None) -> OrderedDict[str, Any]:
        seen.append((type(model).__name__, cfg.INPUT.MIN_SIZE_TEST, cfg.OUTPUT_DIR))
        return OrderedDict(segm={"AP": float(len(seen))})

    for module in ("training.trainer", "inference.datasets"):
        monkeypatch.setattr(f"solo.{module}.evaluate", evaluate)
    trainer = SimpleNamespace(cfg=cfg, module=model, iter=3, max_iter=6, _test_data=None)
    plain = ("SOLOv2", 160, str(tmp_path))
    assert Trainer.evaluate(trainer) == {"segm": {"AP": 1.0}}
    assert seen == [plain]
    # As detectron2's loop leaves it.
    trainer.iter = 6
    assert Trainer.evaluate(trainer) == {"segm": {"AP": 2.0}, "segm_TTA": {"AP": 3.0}}
    assert seen[1:] == [plain, ("SOLOWithTTA", 0, str(tmp_path / "TTA"))]
    assert model.training
