"""Who ends with a sentence, and who with a traceback."""

import ast
from pathlib import Path

import pytest
import torch

from solo.errors import MissingPackageError, NotFiniteError, UserError, exit_on

ROOT = Path(__file__).parents[1]
# What a user starts, and what these consist of.
DOORS = [
    ROOT / "train_net.py",
    *sorted((ROOT / "demo").glob("*.py")),
    *sorted((ROOT / "solo/tools").glob("*.py")),
]
# How a door may tell a mistake of the user: `demo.py` counts it, `write_sheet` has an exit_on.
WAYS = {"exit_on", "is_mistake", "write_sheet"}


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
    if path.parent.name != "demo":
        assert caught <= {"KeyboardInterrupt"}
