"""Brings detectron2 without a compiler: the Python half of the official 0.6 is all that solo needs.

detectron2 is not on the package index under its own name. The source distribution `pb1-detectron2` is the
official v0.6: that is fetched, the C++ extension dropped, what newer NumPy, Pillow and setuptools removed
repaired, and the result installed as `detectron2`. It takes seconds. A detectron2 that is there is left alone.
"""

import importlib.util
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from solo.environment.installer import InstallError, install, run
from solo.environment.wheels import write_wheel

SOURCE = "pb1-detectron2==0.6"
# Of its archive. pip runs the setup.py of an archive to learn its name, and a person who owns a name on an
# index may put another file there.
SOURCE_SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"

# What downloads it, for the moment and beside the environment: pip 26 refuses the archive for an optional
# dependency that it names by address, even where no dependency is asked for, and the setup.py needs setuptools.
_TOOLS = """\
pip==25.3 --hash=sha256:9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd
setuptools==80.9.0 --hash=sha256:062d34222ad13e0cc312a4c02d73f059e86a4acbfbdea8f8f76b28c99f306922
"""

# What newer versions of NumPy (1.24), Pillow (10) and setuptools (82) took away.
_REPAIRS = (
    (re.compile(r"\bnp\.(bool|int|float|object)\b(?!_)"), r"\1"),
    (re.compile(r"\bImage\.LINEAR\b"), "Image.BILINEAR"),
    (re.compile(r"^import pkg_resources$", re.M), "import importlib.resources"),
    (
        re.compile(r"pkg_resources\.resource_filename\(\s*\"([\w.]+)\", (.+?)\s*\)\n", re.S),
        r'str(importlib.resources.files("\1").joinpath(\2))\n',
    ),
)

# Stands in for the compiled module, so that `from detectron2 import _C` works and a call says what is missing.
_C_STAND_IN = '''"""Stand-in for the compiled operators of detectron2, which this build leaves out."""


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

# Where the packages that it installs lie in its sources.
_PACKAGES = {
    "detectron2": "detectron2",
    "detectron2/projects/point_rend": "projects/PointRend/point_rend",
    "detectron2/projects/deeplab": "projects/DeepLab/deeplab",
    "detectron2/projects/panoptic_deeplab": "projects/Panoptic-DeepLab/panoptic_deeplab",
}
_REQUIRES = (
    *("Pillow", "matplotlib", "pycocotools>=2.0.2", "termcolor>=1.1", "yacs>=0.1.8", "tabulate"),
    *("cloudpickle", "tqdm>4.29.0", "tensorboard", "fvcore>=0.1.5", "iopath>=0.1.7"),
    *("omegaconf>=2.1", "hydra-core>=1.1"),
)


def find_detectron2() -> Path | None:
    """Return the folder of the detectron2 that is installed, None if none is."""
    importlib.invalidate_caches()
    spec = importlib.util.find_spec("detectron2")
    return Path(spec.origin).parent if spec and spec.origin else None


def install_detectron2(say: Callable[[str], object]) -> None:
    """Fetch, repair and install detectron2 0.6.

    Args:
        say: Is told each step.

    Raises:
        InstallError: If something is missing, or a download or an installation fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("1/4 fetching pip 25.3 and setuptools, to be used for this only")
        tools = fetch_tools(folder)
        say(f"2/4 downloading the sources of detectron2 ({SOURCE})")
        download(folder, tools)
        say("3/4 repairing them for current NumPy, Pillow and setuptools")
        source = unpack(folder)
        repair(source)
        say("4/4 installing them, and what they need")
        install(build(source, folder))
    say("detectron2 0.6 is installed, without its compiled operators.")


def fetch_tools(folder: Path) -> Path:
    """Put what :func:`download` needs into a folder in `folder`, and return it."""
    requirements, tools = folder / "tools.txt", folder / "tools"
    requirements.write_text(_TOOLS)
    exactly = ("--no-deps", "--only-binary=:all:", "--require-hashes", "-r", requirements)
    install("--target", tools, *exactly)
    return tools


def download(folder: Path, tools: Path | None = None) -> None:
    """Fetch the source archive into `folder`; nothing of another archive is run.

    Args:
        folder: An empty one, but for the tools.
        tools: Folder of the pip and the setuptools to take; by default this environment's.

    Raises:
        InstallError: If the package index does not bring it, or has another archive.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{SOURCE} --hash=sha256:{SOURCE_SHA256}\n")
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download")
    options = ("--no-deps", "--no-build-isolation", "--no-binary=:all:", "-d", folder)
    try:
        run([*command, *options, "--require-hashes", "-r", requirements], path=tools)
    except InstallError as error:
        # pip tells the hash that it expected only where the file has another one.
        if SOURCE_SHA256 not in str(error):
            raise
        raise InstallError(
            f"the package index has another file for {SOURCE} than the one that solo was written "
            f"for, which has the sha256 {SOURCE_SHA256}. It was not run. Take another package "
            "index, or build detectron2 from its own repository."
        ) from error


def unpack(folder: Path) -> Path:
    """Unpack the one archive in `folder` and return the directory of its sources."""
    archives = list(folder.glob("*.tar.gz"))
    if len(archives) != 1:
        raise InstallError(f"expected one source archive, pip brought {[a.name for a in archives]}")
    with tarfile.open(archives[0]) as archive:
        # Python before 3.10.12 and 3.11.4 has no filters.
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    return next(path.parent for path in folder.glob("*/detectron2") if path.is_dir())


def repair(source: Path) -> None:
    """Make the sources of detectron2 0.6 run without C++ and on current libraries, in place."""
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        repaired = text
        for pattern, replacement in _REPAIRS:
            repaired = pattern.sub(replacement, repaired)
        if repaired != text:
            path.write_text(repaired, encoding="utf-8")
    (source / "detectron2" / "_C.py").write_text(_C_STAND_IN)


def build(source: Path, folder: Path) -> Path:
    """Write the wheel of repaired sources into `folder`, and return its file."""
    files = {"detectron2/LICENSE": (source / "LICENSE").read_bytes()}
    for package, place in _PACKAGES.items():
        root = source / place
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".yaml"):
                files[f"{package}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    summary = "detectron2 0.6 without its compiled operators"
    return write_wheel(folder, "detectron2", "0.6", summary, requires=_REQUIRES, files=files)
