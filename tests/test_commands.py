"""Every verb helps with one example, and the README shows it; a mistyped word says what was meant."""

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from solo.cli.main import GROUPS, VERBS, main

ROOT = Path(__file__).parents[1]
SINGLE = [verb for verb in VERBS if verb not in GROUPS]
COMMANDS = [*SINGLE, *(f"{group} {verb}" for group, verbs in GROUPS.items() for verb in verbs)]
DOORS = ("train_net.py", "demo/demo.py", "demo/app.py")


def printed_by(call):
    """Return what a call prints before it exits with status 0."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as stop:
        call()
    assert not stop.value.code
    return printed.getvalue()


def test_only_the_command_leaves_registering_for_later(tmp_path):
    """A package of others that is run, with a word `solo` among its arguments, is not the command."""
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import sys; sys.modules['detectron2'] = None; import solo"
    )
    (package / "__main__.py").touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    def run(*words):
        command = [sys.executable, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert "MissingPackageError" in run("-m", "theirs", "solo").stderr
    assert "MissingPackageError" in run("-m", "theirs").stderr
    for words in (("-m", "solo"), ("-msolo",)):
        assert run(*words, "--version").stdout.startswith("solo ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_verb_has_an_example(command):
    text = printed_by(lambda: main([*command.split(), "--help"]))
    example = text.rpartition("example: ")[2]
    assert example.startswith(f"solo {command}") and text.startswith(f"usage: solo {command}")


@pytest.mark.parametrize("words", [[], ["data"], ["benchmark"]])
def test_help_fits_a_screen(words):
    text = printed_by(lambda: main([*words, "--help"]))
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("path", DOORS)
def test_help_of_a_door_has_an_example(path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [path, "--help"])
    text = printed_by(lambda: runpy.run_path(str(ROOT / path), run_name="__main__"))
    assert f"python {path}" in re.split(r"examples?:", text, flags=re.IGNORECASE)[-1]


@pytest.mark.parametrize("command", [f"solo {name}" for name in COMMANDS] + list(DOORS))
def test_the_readme_shows_it(command):
    assert command in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["pedict"], "`solo` has no verb 'pedict': did you mean `solo predict`?"),
        (["data", "chek"], "`solo data` has no verb 'chek': did you mean `solo data check`?"),
        (["benchmark", "x"], "one of infer, train, cpu."),
        (
            ["export", "--weigths", "f"],
            "`solo export` does not know --weigths; did you mean --weights?",
        ),
        (["convert", "a.pth"], "the following arguments are required: OUT"),
    ],
)
def test_a_mistyped_word_says_what_was_meant(words, meant, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and meant in said and len(said.splitlines()) <= 2


def test_help_needs_neither_torch_nor_detectron2():
    names = [".".join(["solo.cli", *command.split()]) for command in COMMANDS]
    code = (
        "import sys, importlib; sys.argv = ['solo']\n"
        "from solo.cli._parser import build_parser\n"
        f"for name in {names}:\n"
        "    verb = importlib.import_module(name)\n"
        "    verb.add_arguments(build_parser(name, verb.__doc__))\n"
        "print(*{'torch', 'detectron2', 'cv2', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not done.stdout.split()
