"""Install detectron2 without a compiler: the Python half of the official 0.6 is all that solo needs.

detectron2 is not on the package index under its own name. The source distribution `pb1-detectron2`
is the official v0.6, so this script fetches that, drops the C++ extension, repairs what newer
NumPy, Pillow and setuptools removed, and installs the result as `detectron2`. It takes seconds.
An existing detectron2 is left alone.

Example:
    python dev/install_detectron2.py
"""

import argparse
import importlib.util
import logging
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

logger = logging.getLogger("install_detectron2")

SOURCE = "pb1-detectron2==0.6"
# Of its archive. pip runs the setup.py of an archive to learn its name, and a person who owns a name on an
# index may put another file there.
SOURCE_SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"
OLDER_PIP = "pip==25.3"

# What newer versions of NumPy (1.24), Pillow (10) and setuptools (82) took away.
REPAIRS = (
    (re.compile(r"\bnp\.(bool|int|float|object)\b(?!_)"), r"\1"),
    (re.compile(r"\bImage\.LINEAR\b"), "Image.BILINEAR"),
    (re.compile(r"^import pkg_resources$", re.M), "import importlib.resources"),
    (
        re.compile(r"pkg_resources\.resource_filename\(\s*\"([\w.]+)\", (.+?)\s*\)\n", re.S),
        r'str(importlib.resources.files("\1").joinpath(\2))\n',
    ),
)

# Stands in for the compiled module, so that `from detectron2 import _C` works and a call says what is missing.
C_STAND_IN = '''"""Stand-in for the compiled operators of detectron2, which this build leaves out."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(
            f"detectron2._C.{name} needs a compiled detectron2; this one was installed without "
            "its C++ sources. Build detectron2 from source to use it."
        )

    return missing
'''

SETUP = """from setuptools import find_packages, setup

setup(
    name="detectron2",
    version="0.6",
    description="detectron2 0.6 without its compiled operators",
    packages=find_packages(include=["detectron2", "detectron2.*"]) + [
        "detectron2.projects.point_rend",
        "detectron2.projects.deeplab",
        "detectron2.projects.panoptic_deeplab",
    ],
    package_dir={
        "detectron2.projects.point_rend": "projects/PointRend/point_rend",
        "detectron2.projects.deeplab": "projects/DeepLab/deeplab",
        "detectron2.projects.panoptic_deeplab": "projects/Panoptic-DeepLab/panoptic_deeplab",
    },
    package_data={"detectron2.model_zoo": ["configs/**/*.yaml", "configs/**/*.py"]},
    install_requires=[
        "Pillow", "matplotlib", "pycocotools>=2.0.2", "termcolor>=1.1", "yacs>=0.1.8", "tabulate",
        "cloudpickle", "tqdm>4.29.0", "tensorboard", "fvcore>=0.1.5", "iopath>=0.1.7",
        "omegaconf>=2.1", "hydra-core>=1.1",
    ],
)
"""


class InstallError(RuntimeError):
    """Something a person has to fix before detectron2 can be installed."""


def main() -> int:
    """Install detectron2 unless it is there, and say what was done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spec = importlib.util.find_spec("detectron2")
    if spec is not None and spec.origin:
        logger.info(f"detectron2 is already installed in {Path(spec.origin).parent}: left alone.")
        return 0
    try:
        install()
    except InstallError as error:
        logger.error(f"detectron2 was not installed: {error}")
        return 1
    return 0


def install() -> None:
    """Fetch, repair, build and install detectron2 0.6.

    Raises:
        InstallError: If torch or setuptools is missing, or a pip command fails.
    """
    for module in ("torch", "setuptools", "wheel"):
        if importlib.util.find_spec(module) is None:
            raise InstallError(f"it needs {module}. Run: {sys.executable} -m pip install {module}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logger.info(f"1/4 downloading the sources ({SOURCE})")
        download(folder)
        logger.info("2/4 unpacking and repairing them for current NumPy, Pillow and setuptools")
        source = unpack(folder)
        repair(source)
        logger.info("3/4 building a pure-Python wheel")
        pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
        logger.info("4/4 installing it")
        pip("install", *folder.glob("detectron2-*.whl"))
    logger.info("detectron2 0.6 is installed, without its compiled operators.")


def download(folder: Path) -> None:
    """Fetch the source archive into `folder`; nothing of another archive is run.

    pip 26 refuses the archive for an optional dependency that it names by address, even where no
    dependency is asked for; then an older pip, put beside it for the moment, fetches it.

    Raises:
        InstallError: If neither brings it, or the package index has another archive.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{SOURCE} --hash=sha256:{SOURCE_SHA256}\n")
    command = ("download", "--no-deps", "--no-build-isolation", "--no-binary=:all:", "-d", folder)
    command = (*command, "--require-hashes", "-r", requirements)
    try:
        pip(*command)
    except InstallError as error:
        # pip tells the hash that it expected only where the file has another one.
        if SOURCE_SHA256 in str(error):
            raise InstallError(
                f"the package index has another file for {SOURCE} than the one that this script "
                f"was written for, which has the sha256 {SOURCE_SHA256}. It was not run. Take "
                "another package index, or build detectron2 from its own repository."
            ) from error
        older = folder / "pip"
        pip("install", "--target", older, OLDER_PIP)
        pip(*command, path=older)


def pip(*arguments: str | Path, path: Path | None = None) -> None:
    """Run one pip command quietly.

    Args:
        arguments: Of pip.
        path: Folder of the pip to run; by default this environment's.

    Raises:
        InstallError: If it fails, with the end of what it printed.
    """
    command = [sys.executable, "-m", "pip", "--quiet", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else None
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-15:])
        raise InstallError(f"'pip {arguments[0]}' failed. Is the package index reachable?\n{tail}")


def unpack(folder: Path) -> Path:
    """Unpack the one archive in `folder` and return the directory of its sources."""
    archives = list(folder.glob("*.tar.gz"))
    if len(archives) != 1:
        raise InstallError(f"expected one source archive, pip brought {[a.name for a in archives]}")
    with tarfile.open(archives[0]) as archive:
        # Python before 3.10.12 and 3.11.4 has no filters.
        options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **options)
    return next(path for path in folder.iterdir() if (path / "detectron2").is_dir())


def repair(source: Path) -> None:
    """Make the sources of detectron2 0.6 run without C++ and on current libraries, in place."""
    for path in source.rglob("*.py"):
        text = path.read_text()
        repaired = text
        for pattern, replacement in REPAIRS:
            repaired = pattern.sub(replacement, repaired)
        if repaired != text:
            path.write_text(repaired)
    (source / "detectron2" / "_C.py").write_text(C_STAND_IN)
    (source / "setup.py").write_text(SETUP)


if __name__ == "__main__":
    sys.exit(main())
