"""The command line tool with a real model: it survives a kill, and errors are one sentence."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch

from solo.checkpoint import read_checkpoint
from solo.checkpoint.run_files import read_run_record
from tests.toys import registered, square, write_records

ROOT = Path(__file__).parents[2]
TINY = f"""
_BASE_: "{ROOT}/configs/quickstart/solov2_digits.yaml"
MODEL:
  DEVICE: "cpu"
  FPN:
    OUT_CHANNELS: 16
  SOLO:
    CONV_DIM: 32
    NUM_CONVS: 1
    IN_FEATURES: ["p3", "p4", "p5"]
    STRIDES: [8, 16, 32]
    NUM_GRIDS: [12, 8, 4]
    SCALE_RANGES: [[1, 64], [52, 88], [72, 512]]
    MASK_FEATURE:
      CONV_DIM: 32
      DIM: 32
DATASETS:
  TEST: ()
INPUT:
  MIN_SIZE_TRAIN: (64, 96)
  MAX_SIZE_TRAIN: 96
DATALOADER:
  NUM_WORKERS: 2
SOLVER:
  IMS_PER_BATCH: 2
  MAX_ITER: 16
  CHECKPOINT_PERIOD: 6
  WARMUP_ITERS: 4
TEST:
  EVAL_PERIOD: 0
"""


def command(folder: Path, *options: str, output: str = "out") -> list[str]:
    config = folder / "tiny.yaml"
    config.write_text(TINY)
    start = [sys.executable, str(ROOT / "train_net.py"), "--config-file", str(config)]
    flags = [option for option in options if option.startswith("--")]
    pairs = [option for option in options if not option.startswith("--")]
    return [*start, *flags, "OUTPUT_DIR", str(folder / output), *pairs]


def environment() -> dict[str, str]:
    # One thread: sums are then added in the same order in every run.
    paths = os.pathsep.join([str(ROOT), *sys.path])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def run(arguments: list[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=environment(), cwd=folder, capture_output=True, text=True, check=False
    )


def stop_after_checkpoint(arguments: list[str], output: Path, how: signal.Signals) -> str:
    """Send a signal to a run as soon as it has saved a checkpoint; return what it printed."""
    with subprocess.Popen(
        arguments,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell ignores Ctrl-C for what it runs in the background, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not (output / "last_checkpoint").exists() and process.poll() is None:
            time.sleep(0.005)
        # To its children as well, as a terminal does.
        os.killpg(process.pid, how)
        printed = process.communicate(timeout=60)[0]
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130), printed
    return printed


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(command(tmp_path, output="whole"))
    assert whole.returncode == 0, whole.stderr

    stop_after_checkpoint(command(tmp_path), tmp_path / "out", signal.SIGKILL)
    assert not (tmp_path / "out/model_final.pth").exists()
    done = run(command(tmp_path, "--resume"))
    assert done.returncode == 0, done.stderr
    assert "Training from iteration 6 to 16" in (tmp_path / "out/log.txt").read_text()
    assert "Training from iteration" not in done.stdout and "goes on at 6" in done.stdout
    assert "Warning" not in done.stdout + done.stderr

    expected = read_checkpoint(tmp_path / "whole/model_final.pth")
    actual = read_checkpoint(tmp_path / "out/model_final.pth")
    assert actual["class_names"] == expected["class_names"] and len(actual["class_names"]) == 10
    for key, value in expected["model"].items():
        assert torch.equal(value, actual["model"][key]), key
    assert (tmp_path / "out/curves.png").exists()
    record = read_run_record(tmp_path / "out")
    killed, resumed = record.starts
    assert "train_net.py --config-file" in killed.command and "--resume" in resumed.command
    assert (resumed.config_file, resumed.iterations) == (str(tmp_path / "tiny.yaml"), 16)
    assert [start.outcome.status for start in record.starts] == ["interrupted", "finished"]
    assert resumed.outcome.done == 16


MINE = """
import json
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from torch import nn

DatasetCatalog.register("mine", lambda: json.loads(Path("records.json").read_text()))
MetadataCatalog.get("mine").thing_classes = ["red", "green", "blue"]


@BACKBONE_REGISTRY.register()
class Patches(Backbone):
    size_divisibility = 32

    def __init__(self, cfg, input_shape):
        super().__init__()
        self.strides = {f"p{level}": 2**level for level in range(2, 6)}
        self.layers = nn.ModuleDict({p: nn.Conv2d(3, 16, s, s) for p, s in self.strides.items()})

    def forward(self, images):
        return {name: layer(images) for name, layer in self.layers.items()}

    def output_shape(self):
        return {p: ShapeSpec(channels=16, stride=s) for p, s in self.strides.items()}
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_modules_of_the_users_own_are_imported_by_every_worker(
    tmp_path: Path, workers: int
) -> None:
    (tmp_path / "my_parts.py").write_text(MINE)
    records = write_records(tmp_path, [[square(8, 8, 20)], [square(20, 8, 30, 1)]])
    (tmp_path / "records.json").write_text(json.dumps(records))
    own = ("DATASETS.TRAIN", "('mine',)", "MODEL.BACKBONE.NAME", "Patches", "SOLVER.MAX_ITER", "3")
    own += ("MODEL.NECK.NAME", "")  # Patches has levels of its own
    flags = ("--import=my_parts", f"--num-gpus={workers}")
    # Not on Python's path, but in the working directory.
    done = run(command(tmp_path, *flags, *own), tmp_path)
    assert done.returncode == 0, done.stderr
    trained = read_checkpoint(tmp_path / "out/model_final.pth")
    assert trained["class_names"] == ["red", "green", "blue"]
    assert trained["model"]["backbone.layers.p4.weight"].shape == (16, 3, 16, 16)


@pytest.mark.slow
def test_weights_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    failed = run(command(tmp_path, "MODEL.WEIGHTS", "nowhere.pth"))
    assert failed.returncode == 1
    assert "error: The checkpoint nowhere.pth does not exist" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.slow
def test_control_c_says_how_to_go_on(tmp_path: Path) -> None:
    arguments = command(tmp_path, "SOLVER.MAX_ITER", "500")
    printed = stop_after_checkpoint(arguments, tmp_path / "out", signal.SIGINT)
    assert f"--resume continues from {tmp_path}/out/model_0000005.pth" in printed
    outcome = read_run_record(tmp_path / "out").last.outcome
    assert outcome.status == "interrupted" and 6 <= outcome.done < 500
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("SOLVER.MAX_ITERS", "5"), "did you mean SOLVER.MAX_ITER"),
        (("--eval-only",), "--eval-only needs MODEL.WEIGHTS"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    train_net = load_train_net()
    # It sets up logging for the whole process.
    monkeypatch.setattr("solo.training.start.setup_run", lambda cfg, args: None)
    monkeypatch.setattr(sys, "argv", command(tmp_path, *options)[1:])
    with pytest.raises(SystemExit, match=message) as caught:
        train_net.main()
    # What Python prints to stderr, with exit status 1, is the message and nothing else.
    assert str(caught.value.code).startswith("error: ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [((), "holds a run up to iteration 20"), (("--overwrite",), "cannot be trained on")],
)
def test_a_start_that_fails_leaves_the_run_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], message: str
) -> None:
    train_net = load_train_net()
    monkeypatch.setattr("solo.training.start.setup_run", lambda cfg, args: None)
    out = tmp_path / "out"
    out.mkdir()
    names = ["last_checkpoint", "model_0000019.pth", "config.yaml", "run.json", "metrics.json"]
    for name in names:
        (out / name).write_text("model_0000019.pth")
    with registered([]) as empty, pytest.raises(SystemExit, match=message):
        data = ("DATASETS.TRAIN", f"('{empty}',)", "MODEL.WEIGHTS", "")
        monkeypatch.setattr(sys, "argv", command(tmp_path, *flags, *data)[1:])
        train_net.main()
    assert {path.name for path in out.iterdir()} == {*names, ".lock"}
    assert all((out / name).read_text() == "model_0000019.pth" for name in names)


def test_help_has_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train_net.py", "--help"])
    with pytest.raises(SystemExit):
        load_train_net().main()
    example = "python train_net.py --config-file configs/quickstart/solov2_digits.yaml"
    assert example in capsys.readouterr().out
    assert (ROOT / example.split()[-1]).is_file()


def load_train_net() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_net", ROOT / "train_net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
