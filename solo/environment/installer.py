"""Installs into this environment: by its pip, by uv where it has none, or by the pip that Python brings."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from solo.errors import UserError

# Of what pip and uv print, the end tells what went wrong.
_TAIL = 15


class InstallError(UserError):
    """Something a person has to mend before a package can be installed."""


def install(*arguments: str | Path) -> None:
    """Install packages, with the arguments of `pip install`.

    Raises:
        InstallError: If it fails, with the end of what was printed.
    """
    program = _installer()
    here = () if program == _pip() else ("--python", sys.executable)
    run([*program, "install", "--quiet", *here, *arguments])


def uninstall(*names: str) -> None:
    """Remove packages.

    Raises:
        InstallError: If it fails.
    """
    program = _installer()
    here = ("--yes",) if program == _pip() else ("--python", sys.executable)
    run([*program, "uninstall", "--quiet", *here, *names])


def run(command: Sequence[str | Path], path: Path | None = None) -> None:
    """Run a program quietly.

    Args:
        command: The program and its arguments.
        path: A folder of Python packages that it and what it starts shall take before all others.

    Raises:
        InstallError: If it fails, with the end of what it printed.
    """
    environment = dict(os.environ)
    if path:
        before = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(path), *([before] if before else [])])
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL:])
        raise InstallError(
            f"`{' '.join(words)}` failed. Is the package index reachable?\n{tail}".rstrip()
        )


def _pip() -> tuple[str, ...]:
    return (sys.executable, "-m", "pip")


@functools.cache
def _installer() -> tuple[str, ...]:
    """Return what is called to install.

    Raises:
        InstallError: There is nothing to call.
    """
    if importlib.util.find_spec("pip"):
        return _pip()
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv:
        return (uv, "pip")
    try:
        run([sys.executable, "-m", "ensurepip"])
    except InstallError as error:
        raise InstallError(
            f"there is neither pip nor uv to install with, and {sys.executable} brings no pip: "
            "install uv, or the package python3-venv (Debian, Ubuntu), and run `solo setup` again."
        ) from error
    return _pip()
