"""Every command helps with one example, and the README shows it."""

import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = sorted(path.stem for path in (ROOT / "solo" / "tools").glob("[!_]*.py"))
VERBS = ("infer", "train", "cpu")
COMMANDS = {
    **{f"python -m solo.tools.{name}": [name] for name in TOOLS},
    **{f"python {path}": [path] for path in ("train_net.py", "demo/demo.py", "demo/app.py")},
}


def help_of(words, monkeypatch):
    """Return what a command prints for --help, in this process: importing torch takes seconds."""
    target, *rest = words
    monkeypatch.setattr(sys, "argv", [target, *rest, "--help"])
    monkeypatch.syspath_prepend(str(ROOT / "demo"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as stop:
        if target.endswith(".py"):
            runpy.run_path(str(ROOT / target), run_name="__main__")
        else:
            runpy.run_module(f"solo.tools.{target}", run_name="__main__", alter_sys=True)
    assert not stop.value.code
    return printed.getvalue()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, monkeypatch):
    text = help_of(COMMANDS[command], monkeypatch)
    example = re.split(r"examples?:", text, flags=re.IGNORECASE)[-1]
    assert example != text and command in example


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_an_example(verb, monkeypatch):
    assert f"solo.tools.benchmark {verb}" in help_of(["benchmark", verb], monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_shows_it(command):
    assert command in (ROOT / "README.md").read_text()
