"""The configs that come with solo, by name: coco/solov2_R_50_FPN_3x, with or without .yaml or solo://."""

import difflib
import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

from solo.errors import UserError, shortened

PREFIX = "solo://"
_SUFFIX = ".yaml"


class UnknownConfigError(FileNotFoundError, UserError):
    """What a config is called by is neither a file nor the name of one that comes with solo."""


def config_path(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the config file that a name or a path stands for; a file that exists goes before a name.

    Args:
        name_or_path: A yaml file, or what :func:`named_config` takes.

    Raises:
        UnknownConfigError: If it is neither; it says which names are like it.
    """
    text = os.path.expanduser(name_or_path)
    if os.path.isfile(text):
        return Path(text)
    known, name = _configs(), plain_name(text)
    if name not in known:
        raise UnknownConfigError(
            f"The config file {shortened(text)} does not exist, and no config of that name comes with "
            f"solo{meant(name, known)}"
        )
    return known[name]


def named_config(name: str) -> Path:
    """Return the file of a config that comes with solo; no name leads out of their folder.

    Args:
        name: Relative to the folder of configs, with or without ".yaml", with or without "solo://".

    Raises:
        UnknownConfigError: If there is none; it says which names are like it.
    """
    known = _configs()
    if plain_name(name) not in known:
        raise UnknownConfigError(
            f"There is no config {shortened(name)!r} that comes with solo{meant(plain_name(name), known)}"
        )
    return known[plain_name(name)]


def config_names() -> list[str]:
    """Return the names of all configs that come with solo, sorted."""
    return sorted(_configs())


def plain_name(name: str) -> str:
    """Return a name without "solo://" and ".yaml"; nothing else of it is changed but "a/../"."""
    return posixpath.normpath(name.removeprefix(PREFIX)).removesuffix(_SUFFIX)


def meant(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that says which names are like one, or all where none is.

    Args:
        name: What was given. Whatever has its last part, after the last slash, is like it.
        known: The names that there are.
    """
    known = sorted(known)
    parts = {other: other.rpartition("/")[2] for other in known}
    last = name.rpartition("/")[2]
    same = [other for other in known if parts[other] == last]
    near = difflib.get_close_matches(name, known, n=3)
    near_parts = difflib.get_close_matches(last, list(parts.values()), n=3)
    near += [other for part in near_parts for other in known if parts[other] == part]
    likely = list(dict.fromkeys(same or near))[:3]
    return (
        f"; did you mean {' or '.join(likely)}?"
        if likely
        else f". Choose one of: {', '.join(known)}."
    )


def _configs() -> dict[str, Path]:
    root = _config_root()
    files = root.rglob(f"*{_SUFFIX}")
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in files}


def _config_root() -> Path:
    """Return the folder of the configs: packaged in an installed wheel, at the top of a clone."""
    package = Path(__file__).parents[1]
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parent / "configs"
