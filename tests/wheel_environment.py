"""A virtual environment with the wheel in it and what is installed here, but for what a test leaves out."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Runs commands one after the other as the console script does, so that torch is imported once.
_SESSION = """
import contextlib, importlib, io, json, sys, traceback
sys.argv[0] = "solo"
import solo
from solo.cli.main import GROUPS, main
mode, commands = json.load(sys.stdin)
if mode == "parse":
    solo.register = lambda: None
for words in commands:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            if mode == "parse":
                verb = words[:2] if words[0] in GROUPS else words[:1]
                importlib.import_module(".".join(["solo.cli", *verb])).run = lambda args: 0
            status = main(words)
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code)
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
            status = -1
    sys.__stdout__.write("ended: " + json.dumps([status, printed.getvalue()]) + "\\n")
    sys.__stdout__.flush()
"""


class Ended(NamedTuple):
    """What came of a command."""

    status: int
    text: str


class WheelEnvironment:
    """The environment; commands run in a folder that holds nothing of the checkout."""

    def __init__(self, folder: Path, wheel: Path, leave_out: Sequence[str] = ()) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.bin = folder / "bin"
        (site,) = folder.glob("lib/python*/site-packages")
        for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
            # Files like __editable__.pth lead to the checkout.
            if path.suffix != ".pth" and not path.name.startswith(("__", "solo", *leave_out)):
                (site / path.name).symlink_to(path)
        self.call("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))

    def call(self, *words: str, program: str = "python", cwd: Path | None = None) -> str:
        """Run a program of the environment that ends well, and return what it prints."""
        done = self.start(words, program, cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(
        self, words: Sequence[str], program: str, cwd: Path | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        outside = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [str(self.bin / program), *words],
            cwd=cwd or self.bin.parent,
            input=text,
            env=outside,
            capture_output=True,
            text=True,
            check=False,
        )

    def solo(
        self, commands: Sequence[Sequence[str]], cwd: Path, *, mode: str = "run"
    ) -> list[Ended]:
        """Run `solo` with each of these arguments; with mode "parse" up to what they mean."""
        session = json.dumps([mode, list(map(list, commands))])
        done = self.start(["-W", "ignore", "-c", _SESSION], "python", cwd, session)
        lines = [line for line in done.stdout.splitlines() if line.startswith("ended: ")]
        found = [Ended(*json.loads(line.removeprefix("ended: "))) for line in lines]
        assert len(found) == len(commands), done.stdout[-3000:] + done.stderr[-3000:]
        return found


def build_wheel(sources: Path, folder: Path) -> Path:
    """Build the wheel of these sources without a network, and return its file."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", folder, sources],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel
