"""The packages that only some need: what each brings, and whether it is there."""

import contextlib
from importlib import metadata
from typing import NamedTuple

from packaging.requirements import Requirement

DISTRIBUTION = "solo-detectron2"
# Of setup.py, but for those of developers.
EXTRAS = {
    "page": "a web page that finds objects: `solo serve`",
    "video": "videos as H.264, which browsers play",
    "export": "ONNX files: `solo export`, and running them",
    "openvino": "OpenVINO files, and int8: `solo export --format openvino --int8`",
    "quickstart": "the data set `digits`",
    "cityscapes": "the AP of Cityscapes",
    "timm": "backbones of timm",
    "ray": "prediction by many workers: `solo predict --parquet`",
}


class Extra(NamedTuple):
    """Packages that go together."""

    name: str
    brings: str
    missing: tuple[str, ...]  # as pip is asked for them in a shell


def look_at_extras() -> list[Extra]:
    """Return what is there of each extra; nothing where solo itself is run without being installed."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    needs = [Requirement(line) for line in lines]
    asked = {name: [need for need in needs if _is_of(need, name)] for name in EXTRAS}
    return [
        Extra(name, EXTRAS[name], tuple(_for_shell(need) for need in of if _lacks(need)))
        for name, of in asked.items()
        if of
    ]


def _is_of(need: Requirement, extra: str) -> bool:
    """Return whether an extra asks for it, and solo by itself does not."""
    marker = need.marker
    return bool(marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}))


def _lacks(need: Requirement) -> bool:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(need.name) not in need.specifier
    return True


def _for_shell(need: Requirement) -> str:
    return f'"{need.name}{need.specifier}"' if need.specifier else need.name
