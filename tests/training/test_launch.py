"""Several processes: they take the step that one would take, and fail like one."""

import atexit
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from detectron2.utils import comm

from solo.checkpoint import read_checkpoint
from solo.terminal import stop_at_sigterm
from solo.training import LaunchError, launch
from tests.training.training_toys import (
    RectangleTrainer,
    ToyTrainer,
    solov2_config,
    toy_config,
    train,
)

cpu_only = pytest.mark.skipif(
    torch.cuda.is_available(), reason="processes on GPUs are as many as there are GPUs"
)

# Without warm-up, whose first step would be shorter than the tolerance.
FULL_RATE = {"WARMUP_FACTOR": 1.0, "BASE_LR": 0.05}


def train_one_step(output_dir: str) -> None:
    cfg = toy_config(Path(output_dir), MAX_ITER=1, **FULL_RATE)
    train(cfg)
    place = f"{comm.get_rank()} {comm.get_world_size()} {comm.get_local_rank()}"
    Path(output_dir, f"rank{comm.get_rank()}.txt").write_text(place)


def train_solov2_one_step(output_dir: str) -> None:
    trainer = RectangleTrainer(
        solov2_config(Path(output_dir), MAX_ITER=1, OPTIMIZER="SGD", **FULL_RATE)
    )
    trainer.resume_or_load()
    trainer.train()


def train_without_p2(output_dir: str) -> None:
    """Take two steps: the second would fail if the first still waited for the gradients of p2."""
    cfg = solov2_config(Path(output_dir), MAX_ITER=2, OPTIMIZER="SGD")
    cfg.MODEL.META_ARCHITECTURE = "SOLO"
    cfg.MODEL.SOLO.IN_FEATURES = [
        "p3" if name == "p2" else name for name in cfg.MODEL.SOLO.IN_FEATURES
    ]
    trainer = RectangleTrainer(cfg)
    trainer.resume_or_load()
    trainer.train()


def train_frozen(output_dir: str) -> None:
    cfg = solov2_config(Path(output_dir), MAX_ITER=2, OPTIMIZER="SGD", **FULL_RATE)
    cfg.MODEL.SOLO.FREEZE = "all_but_head"
    trainer = RectangleTrainer(cfg)
    trainer.resume_or_load()
    trainer.train()


def lose_one_image(output_dir: str) -> None:
    """Have a bad image in the share of the second worker only."""
    trainer = ToyTrainer(toy_config(Path(output_dir), BASE_LR=0.01))
    trainer.resume_or_load()
    build = trainer.build_train_loader

    def build_bad(start_iteration: int) -> object:
        for batch in build(start_iteration):
            for item in batch:
                if item["file_name"] == "3_1.png":
                    item["image"] *= float("nan")
            yield batch

    trainer.build_train_loader = build_bad
    try:
        trainer.train()
    except FloatingPointError as error:
        Path(output_dir, f"error{comm.get_rank()}.txt").write_text(str(error))
        # What a thread of gloo does, now and then, that outlives the interpreter.
        atexit.register(os.abort)
        # As train_net.py ends.
        raise SystemExit(7) from error


def assert_same_weights(folder: Path, other: Path) -> None:
    ours, theirs = (read_checkpoint(path / "model_final.pth")["model"] for path in (folder, other))
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], atol=1e-6, rtol=1e-5)


def take_a_step_then_fail(output_dir: str) -> None:
    # In one start of the processes, which takes longer than all that they do.
    train_one_step(f"{output_dir}/two")
    train_solov2_one_step(f"{output_dir}/solov2_two")
    train_without_p2(f"{output_dir}/no_p2")
    train_frozen(f"{output_dir}/frozen_two")
    lose_one_image(f"{output_dir}/bad")


@pytest.mark.slow
@cpu_only
def test_two_workers_take_the_step_of_one_and_stop_together(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, logger="solo"),
        pytest.raises(SystemExit) as caught,
    ):
        launch(take_a_step_then_fail, (str(tmp_path),), num_gpus=2)
    assert caught.value.code == 7
    assert "2 processes on the CPU" in caplog.text
    assert (tmp_path / "two/rank0.txt").read_text() == "0 2 0"
    assert (tmp_path / "two/rank1.txt").read_text() == "1 2 1"

    launch(train_one_step, (str(tmp_path / "one"),), num_gpus=1)
    assert_same_weights(tmp_path / "one", tmp_path / "two")
    launch(train_solov2_one_step, (str(tmp_path / "solov2_one"),))
    assert_same_weights(tmp_path / "solov2_one", tmp_path / "solov2_two")

    launch(train_frozen, (str(tmp_path / "frozen_one"),))
    assert_same_weights(tmp_path / "frozen_one", tmp_path / "frozen_two")

    assert (tmp_path / "no_p2/model_final.pth").exists()

    # One bad loss, in the share of the second, stops both before the step.
    messages = [(tmp_path / f"bad/error{rank}.txt").read_text() for rank in (0, 1)]
    assert messages[0] == messages[1]
    assert "(worker 1, images 3_1.png, 3_3.png)" in messages[0]
    assert "worker 0" not in messages[0]
    assert [path.name for path in tmp_path.glob("bad/*.pth")] == ["model_0000001.pth"]


@pytest.mark.slow
@cpu_only
def test_torchrun(tmp_path: Path) -> None:
    code = f"import test_launch as t; t.launch(t.train_one_step, ({str(tmp_path)!r},))"
    (tmp_path / "script.py").write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *command, str(tmp_path / "script.py")],
        check=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert (tmp_path / "rank1.txt").read_text() == "1 2 1"
    assert (tmp_path / "model_final.pth").exists()


def test_no_gpus_on_two_machines_are_two_processes(
    monkeypatch: pytest.MonkeyPatch, free_url: str
) -> None:
    started = []
    module = sys.modules["solo.training.launch"]  # the package has a function of that name
    monkeypatch.setattr(module, "spawn", lambda f, nprocs, args: started.append(args))
    settings = {"num_gpus": 0, "num_machines": 2, "dist_url": free_url}
    with ThreadPoolExecutor() as threads:
        for machine_rank in (1, 0):
            threads.submit(launch, print, machine_rank=machine_rank, **settings)
    assert sorted(arguments[:4] for arguments in started) == [(1, 2, k, free_url) for k in (0, 1)]


def hang(folder: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Path(folder, f"{comm.get_rank()}").write_text(str(os.getpid()))
    time.sleep(100)


@pytest.mark.slow
@cpu_only
@pytest.mark.usefixtures("control_c_is_heard")
def test_control_c_ends_workers_that_do_not_hear_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["solo.training.launch"], "_FAREWELL", 0.1)

    def interrupt() -> None:
        while len(pids := [path.read_text() for path in tmp_path.iterdir()]) < 2 or "" in pids:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(SystemExit) as caught:
        launch(hang, (str(tmp_path),), num_gpus=2)
    assert caught.value.code == 130
    assert not multiprocessing.active_children()


def wait_for_sigterm(folder: str) -> None:
    stop_at_sigterm()
    try:
        hang(folder)
    except KeyboardInterrupt as stop:
        Path(folder, f"{comm.get_rank()}").write_text(f"stopped by {stop.args[0]}")
        raise SystemExit(130) from stop


@pytest.mark.slow
@cpu_only
def test_sigterm_to_the_first_process_reaches_the_workers(tmp_path: Path) -> None:
    def end() -> None:
        while len(pids := [path.read_text() for path in tmp_path.iterdir()]) < 2 or "" in pids:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    stop_at_sigterm()
    threading.Thread(target=end, daemon=True).start()
    try:
        with pytest.raises(SystemExit) as caught:
            launch(wait_for_sigterm, (str(tmp_path),), num_gpus=2)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 130
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["stopped by SIGTERM"] * 2


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"num_gpus": 3}, r"--num-gpus 3: this machine shows 2 GPU\(s\)"),
        ({"num_gpus": 2, "num_machines": 2}, "--dist-url auto works on one machine only"),
        ({"num_machines": 2, "machine_rank": 2}, "ranks 0 to 1"),
        ({"num_gpus": -1}, "--num-gpus -1"),
    ],
)
def test_impossible_counts_are_refused(
    monkeypatch: pytest.MonkeyPatch, counts: dict[str, int], message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(LaunchError, match=message):
        launch(print, **counts)
