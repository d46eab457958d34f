"""OpenCV: one copy of it, that opens windows on a desktop and can be imported on a bare server.

solo requires opencv-python, as other packages do, so that there is one copy. It opens windows, and for
that asks for libraries of the system (libGL, GLib) that a server or a container often lacks; then `import
cv2` fails. opencv-python-headless asks for none, but pip does not know that it stands for the other: it would
install both into one folder. So where a library is missing, headless takes its place, together with an
entry "opencv-python" of that version in the list of packages, which holds nothing and requires headless, as
conda-forge's OpenCV has one. `pip check` and a later `pip install` find what they ask for.
"""

import re
import tempfile
from collections.abc import Callable
from importlib import invalidate_caches, metadata
from pathlib import Path

from solo.environment.installer import InstallError, install, uninstall
from solo.environment.probes import Probe, probe
from solo.environment.wheels import write_wheel

PACKAGES = (
    *("opencv-python", "opencv-contrib-python"),
    *("opencv-python-headless", "opencv-contrib-python-headless"),
)
_REQUIREMENT = "opencv-python>=4.7"
_TRY = "import cv2; cv2.imread; text = cv2.__version__"
# How the loader of Linux says it.
_NO_LIBRARY = re.compile(r"(lib[\w.+-]+): cannot open shared object file")
# A folder without files is a module, too.
_NO_FILES = re.compile(r"No module named 'cv2'|module 'cv2' has no attribute")


def try_opencv() -> Probe:
    """Return whether cv2 can be imported, with its version or why not."""
    return probe(_TRY)


def opencv_packages() -> dict[str, str]:
    """Return the version of each installed package that owns the folder cv2, by name."""
    invalidate_caches()
    return {
        found.name: found.version
        for found in metadata.distributions()
        if found.name in PACKAGES and any(file.parts[0] == "cv2" for file in found.files or ())
    }


def twice_installed() -> str:
    """Return what to know where two packages share the folder cv2; empty: they do not."""
    names = sorted(opencv_packages())
    if len(names) < 2:
        return ""
    return (
        f"{' and '.join(names)} lie in one folder, cv2: the one that came last is used, and when "
        f"one is removed, the other is broken until `solo setup`. To keep one: pip uninstall -y "
        f"{' '.join(names)}, then `solo setup`."
    )


def mend_opencv(say: Callable[[str], object]) -> None:
    """Make cv2 importable where it is not.

    Args:
        say: Is told what is done, ahead of it.

    Raises:
        InstallError: It cannot be, or an installation failed.
    """
    # What is brought back may then lack a library.
    for mend in (_bring_back, _replace_by_headless):
        found = try_opencv()
        if not found.ok:
            mend(found.text, say)
    found = try_opencv()
    if not found.ok:
        raise InstallError(f"cv2 cannot be imported: {found.text}. {_advice(found.text)}")


def _bring_back(reason: str, say: Callable[[str], object]) -> None:
    """Install what is missing: nothing was there, or its files went with another package."""
    if not _NO_FILES.search(reason):
        return
    owners = opencv_packages()
    wanted = [f"{name}=={owners[name]}" for name in PACKAGES if name in owners][:1]
    say(f"cv2 is missing: installing {(wanted or [_REQUIREMENT])[0]}")
    install("--force-reinstall", "--no-deps", *(wanted or [_REQUIREMENT]))


def _replace_by_headless(reason: str, say: Callable[[str], object]) -> None:
    """Take the OpenCV without windows, where this system lacks a library for windows."""
    missing = _NO_LIBRARY.search(reason)
    owners = opencv_packages()
    windowed = {name: version for name, version in owners.items() if "headless" not in name}
    if not missing or not windowed:
        return
    name = next(name for name in reversed(PACKAGES) if name in windowed)
    headless = f"{name}-headless"
    say(
        f"cv2 needs {missing[1]} for its windows, which this system lacks: replacing {name} by "
        f"{headless}, which opens none. To have windows later: apt-get install libgl1 libglib2.0-0 "
        f"(Debian, Ubuntu), pip uninstall -y {name} {headless}, and `solo setup`."
    )
    with tempfile.TemporaryDirectory() as temporary:
        # Nothing is removed before that was brought which takes its place, and was seen to work.
        folder = Path(temporary, "tried")
        install("--no-deps", "--target", folder, f"{headless}<={windowed[name]}")
        tried = probe(f"import sys; sys.path.insert(0, {str(folder)!r}); {_TRY}")
        if not tried.ok:
            raise InstallError(f"cv2 cannot be imported: {tried.text}. {_advice(tried.text)}")
        (brought,) = metadata.distributions(name=headless, path=[str(folder)])
        # Also in place of entries of an earlier time.
        replaced = {found.name for found in metadata.distributions() if found.name in PACKAGES}
        entries = [
            _write_entry(Path(temporary), other, headless, brought.version)
            for other in sorted(replaced - {headless})
        ]
        uninstall(*replaced)
        install("--no-deps", f"{headless}=={brought.version}", *entries)


def _write_entry(folder: Path, name: str, headless: str, version: str) -> Path:
    """Write the package that tells pip that headless stands for this one."""
    summary = f"An entry without content: {headless} takes its place on a system without windows"
    needs = [f"{headless}=={version}"]
    return write_wheel(folder, name, f"{version}+headless", summary, requires=needs)


def _advice(reason: str) -> str:
    if _NO_LIBRARY.search(reason):
        return (
            "Install that library of the system: apt-get install libgl1 libglib2.0-0, for example."
        )
    return f'Try: pip install --force-reinstall "{_REQUIREMENT}"'
