"""OpenCV on a bare server and beside another copy, with toy packages of its names and a real pip."""

import sys

import pytest

from solo.environment.wheels import write_wheel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the environment is laid for POSIX"),
]

# What the loader of Linux says where libGL is missing.
NO_LIBRARY = "libGL.so.1: cannot open shared object file: No such file or directory"
WINDOWED = f"raise ImportError({NO_LIBRARY!r})\n".encode()
HEADLESS = b"__version__ = '5.0'\nimread = print\n"
MEND = "from solo.environment.opencv import mend_opencv; mend_opencv(print)"
TWICE = "from solo.environment.opencv import twice_installed; print(twice_installed())"


def write(folder, name, version, content):
    return write_wheel(folder, name, version, "A toy", files={"cv2/__init__.py": content})


@pytest.fixture
def server(environment):
    """An environment with pip, and with an opencv-python that lacks a library."""
    assert environment.call("-m", "ensurepip").returncode == 0
    write(environment.index, "opencv-python", "5.0", WINDOWED)
    write(environment.index, "opencv-python-headless", "4.9", b"raise ImportError('too old')")
    write(environment.index, "opencv-python-headless", "5.0", HEADLESS)
    write(environment.index, "opencv-python-headless", "6.0", b"raise ImportError('too new')")
    pip(environment, "install", "opencv-python")
    return environment


def pip(environment, *words):
    done = environment.call("-m", "pip", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def packages(environment):
    lines = pip(environment, "list", "--format=freeze").splitlines()
    return sorted(line for line in lines if line.startswith("opencv"))


def mend(environment, **variables):
    done = environment.run(MEND, **variables)
    assert done.returncode == 0, done.stderr
    assert environment.call("-c", "import cv2; cv2.imread").returncode == 0
    return done.stdout


def test_a_server_gets_the_one_without_windows_and_keeps_it(server):
    told = mend(server)
    assert "needs libGL.so.1" in told and "apt-get install libgl1" in told
    mended = ["opencv-python-headless==5.0", "opencv-python==5.0+headless"]
    assert packages(server) == mended
    # Who asks for opencv-python later, as ultralytics and SAHI do, does not bring it back.
    needs = ["opencv-python!=4.13,>=4.7", "opencv-python-headless>=4.9"]
    write_wheel(server.index, "another", "1.0", "A toy", requires=needs)
    pip(server, "install", "another")
    pip(server, "check")
    assert packages(server) == mended
    # Nothing is left to do.
    assert mend(server) == ""

    # What removed it is mended, too.
    pip(server, "uninstall", "--yes", "opencv-python-headless")
    assert "cv2 is missing" in mend(server)
    assert packages(server) == mended


def test_two_copies_are_told_and_what_is_left_of_them_mended(environment):
    assert environment.call("-m", "ensurepip").returncode == 0
    for name in ("opencv-python", "opencv-python-headless"):
        write(environment.index, name, "5.0", HEADLESS)
        pip(environment, "install", name)
    told = environment.run(TWICE).stdout
    assert told.startswith("opencv-python and opencv-python-headless lie in one folder")
    pip(environment, "uninstall", "--yes", "opencv-python-headless")
    assert environment.run(TWICE).stdout == "\n"
    assert mend(environment) == "cv2 is missing: installing opencv-python==5.0\n"
    assert packages(environment) == ["opencv-python==5.0"]


def test_nothing_is_removed_before_the_other_is_there(server, tmp_path):
    done = server.run(MEND, PIP_FIND_LINKS=str(tmp_path / "nothing"))
    assert done.returncode and "InstallError" in done.stderr
    assert packages(server) == ["opencv-python==5.0"]
