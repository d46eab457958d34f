"""What installs where there is pip, uv, the pip of Python, or none of them."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from solo.environment.installer import InstallError, run
from solo.environment.wheels import write_wheel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the environment is laid for POSIX")

ROOT = Path(__file__).parents[2]
# That of the development environment, which need not be on the PATH.
UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
INSTALL = "from solo.environment.installer import install; install('--no-deps', 'toy')"
UNINSTALL = "from solo.environment.installer import uninstall; uninstall('toy')"


def has_toy(environment):
    return environment.call("-c", "import toy").returncode == 0


@pytest.fixture
def toy(environment):
    write_wheel(environment.index, "toy", "1.0", "A toy", files={"toy/__init__.py": b""})


def comes_and_goes(environment):
    done = environment.run(INSTALL)
    assert done.returncode == 0, done.stderr
    assert has_toy(environment)
    done = environment.run(UNINSTALL)
    assert done.returncode == 0, done.stderr
    assert not has_toy(environment)


def test_without_pip_and_uv_python_brings_pip(environment, toy):
    comes_and_goes(environment)
    assert (environment.site / "pip").is_dir()


@pytest.mark.skipif(not UV, reason="uv is not installed")
def test_uv_serves_where_there_is_no_pip(environment, toy):
    environment.variables["PATH"] += os.pathsep + os.path.dirname(UV)
    comes_and_goes(environment)
    assert not (environment.site / "pip").is_dir()


def test_with_neither_it_is_a_sentence(environment, toy, tmp_path):
    # As Debian's Python without the package python3-venv.
    (tmp_path / "ensurepip.py").write_text("raise SystemExit('disabled')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = environment.call("-c", f"import sys; sys.argv[0] = 'solo'\n{INSTALL}", PYTHONPATH=path)
    assert done.returncode
    assert "neither pip nor uv" in done.stderr.splitlines()[-1]
    assert "python3-venv" in done.stderr.splitlines()[-1]


def test_a_failure_is_told_with_the_end_of_what_was_printed():
    with pytest.raises(InstallError, match=r"failed\. Is the package index reachable\?") as caught:
        run([sys.executable, "-c", "raise SystemExit('\\n'.join(map(str, range(99))))"])
    assert str(caught.value).endswith("\n97\n98") and "\n83\n" not in str(caught.value)
