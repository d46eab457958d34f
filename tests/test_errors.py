"""Who ends with a sentence, and who with a traceback."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog

from solo.config import get_cfg
from solo.config.load import merge_file
from solo.data import SOLODatasetMapper, load_records
from solo.data.augmentation.build import build_augmentations
from solo.data.formats.coco_document import read_json
from solo.errors import MissingPackageError, NotFiniteError, UserError, exit_on
from solo.layers.conv import Deform, conv_tower
from solo.training.solver import build_optimizer, build_scheduler
from solo.visualization.plots import new_figure, save_figure

ROOT = Path(__file__).parents[1]
# What a user starts, and what these consist of.
DOORS = [
    ROOT / "train_net.py",
    *sorted((ROOT / "demo").glob("*.py")),
    *sorted((ROOT / "solo/cli").rglob("*.py")),
]
# How a door tells mistakes of the user. `run_verb` has an exit_on.
WAYS = {"exit_on", "run_verb"}


@pytest.mark.parametrize(
    "error",
    [
        UserError("give another"),
        FileNotFoundError("give another"),
        MissingPackageError("give another"),
        NotFiniteError("give another"),
    ],
)
def test_mistakes_of_users_are_one_sentence(error: Exception) -> None:
    with pytest.raises(SystemExit) as stopped, exit_on():
        raise error
    # Python prints a text to stderr, and exits with 1.
    assert stopped.value.code == "error: give another"


def test_callers_may_go_on_to_catch_what_they_caught() -> None:
    assert issubclass(UserError, ValueError)
    assert issubclass(NotFiniteError, (UserError, FloatingPointError))
    assert issubclass(MissingPackageError, (UserError, ImportError))


def test_a_valueerror_of_torch_goes_through() -> None:
    with pytest.raises(ValueError, match="learning rate") as caught, exit_on():
        torch.optim.SGD([torch.zeros(1)], lr=-1)
    assert any("torch" in str(entry.path) for entry in caught.traceback)


@pytest.mark.parametrize("error", [RuntimeError("bug"), FloatingPointError("bug"), KeyError("bug")])
def test_other_errors_go_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, exit_on():
        raise error
    assert caught.value is error


def test_solo_debug_shows_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLO_DEBUG", "1")
    for error in (UserError("mine"), FileNotFoundError("mine")):
        with pytest.raises(type(error)) as caught, exit_on():
            raise error
        assert caught.value is error


def config(**keys: Any) -> CfgNode:
    cfg = get_cfg()
    cfg.merge_from_list(
        [part for key, value in keys.items() for part in (key.replace("__", "."), value)]
    )
    return cfg


# What torch, NumPy, Pillow, matplotlib, json and detectron2 would refuse in words of their own.
REFUSED: dict[str, Callable[[Path], Any]] = {
    "SOLVER .* Invalid learning rate": lambda _: build_optimizer(
        config(SOLVER__BASE_LR=-1.0), torch.nn.Linear(1, 1)
    ),
    "SOLVER .* Unknown LR scheduler": lambda _: build_scheduler(
        config(SOLVER__LR_SCHEDULER_NAME="x"), torch.optim.SGD([torch.zeros(1)], lr=1)
    ),
    "INPUT .* horiz or vert": lambda _: build_augmentations(config(INPUT__RANDOM_FLIP="x")),
    "INPUT.MIN_SIZE_TRAIN is empty": lambda _: build_augmentations(
        config(INPUT__MIN_SIZE_TRAIN=())
    ),
    "INPUT.FORMAT is 'XYZ'": lambda _: SOLODatasetMapper(config(INPUT__FORMAT="XYZ"), False),
    "NUM_CONVS is 0": lambda _: conv_tower(64, 64, num_convs=0, norm="GN", deform=Deform()),
    "100 channels .* multiple of 32": lambda _: conv_tower(
        64, 100, num_convs=2, norm="GN", deform=Deform()
    ),
    "a.xyz: no plot": lambda folder: save_figure(new_figure(1, 1), folder / "a.xyz"),
    "broken.json is no json": lambda folder: read_json(broken(folder, ".json")),
    "broken.yaml has something else": lambda folder: merge_file(
        get_cfg(), str(broken(folder, ".yaml"))
    ),
    "data set broken .* Expecting value": lambda folder: load_broken(folder),
}


def broken(folder: Path, suffix: str) -> Path:
    path = folder / f"broken{suffix}"
    path.write_text("- a")
    return path


def load_broken(folder: Path) -> None:
    DatasetCatalog.register("broken", lambda: json.loads(broken(folder, ".json").read_text()))
    try:
        load_records("broken")
    finally:
        DatasetCatalog.remove("broken")


@pytest.mark.parametrize("words", REFUSED)
def test_what_libraries_refuse_of_the_users_is_told_where_it_is_read(
    words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        REFUSED[words](tmp_path)


class _BrokenSet(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise UserError("restore the file")


def test_of_a_loaders_worker_the_sentence_is_told_without_its_traceback() -> None:
    loader = torch.utils.data.DataLoader(_BrokenSet(), num_workers=1)
    with pytest.raises(SystemExit) as stopped, exit_on():
        next(iter(loader))
    assert stopped.value.code == "error: restore the file"


@pytest.mark.parametrize("path", DOORS, ids=lambda path: str(path.relative_to(ROOT)))
def test_doors_have_no_other_rule(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
        assert names & WAYS
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    caught = {ast.unparse(handler.type) if handler.type else "all" for handler in handlers}
    assert not any("ValueError" in kind or kind == "all" for kind in caught)
    assert caught <= {"KeyboardInterrupt", "BrokenPipeError", "MisuseError"}
