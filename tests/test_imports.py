"""The arrows of docs/architecture.md: who may import whom, read from the sources."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Package or module of solo -> what of solo it may import, besides itself.
MAY_IMPORT = {
    "config": set(),
    "config.load": {"config", "data", "files"},
    "errors": set(),
    "files": set(),
    "images": set(),
    "structures": set(),
    "layers": {"structures"},
    "modeling": {"config", "layers", "structures"},
    "data": {"config", "images", "structures"},
    "checkpoint": {"files"},
    "evaluation": {"structures"},
    "visualization": {"files", "structures"},
    "export": {
        "config.load",
        "export.runtime",
        "images",
        "inference",
        "layers",
        "modeling",
        "structures",
    },
    "export.runtime": set(),
    "inference": {
        "checkpoint",
        "config",
        "config.load",
        "data",
        "evaluation",
        "export.runtime",
        "layers",
        "model_zoo",
        "modeling",
        "structures",
    },
    "training": {
        "checkpoint",
        "config",
        "config.load",
        "data",
        "evaluation",
        "files",
        "inference",
        "layers",
        "modeling",
        "visualization",
    },
    "survey": {"config", "config.load", "data", "modeling", "visualization"},
    "report": {
        "checkpoint",
        "config.load",
        "data",
        "evaluation",
        "images",
        "inference",
        "structures",
        "visualization",
    },
    "benchmark": {
        "checkpoint",
        "config",
        "data",
        "evaluation",
        "files",
        "layers",
        "modeling",
        "structures",
        "training",
    },
    "tools": {
        "benchmark",
        "checkpoint",
        "config",
        "config.load",
        "data",
        "evaluation",
        "export",
        "files",
        "inference",
        "model_zoo",
        "modeling",
        "report",
        "survey",
        "training",
        "visualization",
    },
    "model_zoo": {"checkpoint", "config", "config.load", "data"},
    # The package itself registers the parts with detectron2.
    "": {"config", "data", "model_zoo", "modeling"},
}
# On the ground, for all who say what a user did wrong.
EVERYBODY = {"errors"}
# Within modeling: the parts that get tensors and never know a head.
HEADLESS = ("grids", "targets", "losses", "postprocessing")


def imported_modules(path):
    """Yield the dotted names that a file imports from solo, without the `solo.`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{path}:{node.lineno}: relative import")
        else:
            continue
        for name in names:
            if name == "solo" or name.startswith("solo."):
                yield name.removeprefix("solo").removeprefix(".")


def unit(path):
    """The room of a file. Two stand apart: config/load.py asks the data sets, export/runtime.py runs alone."""
    parts = path.relative_to(ROOT / "solo").with_suffix("").parts
    return room(".".join(parts).removesuffix("__init__"))


def room(name):
    """The room that a dotted name of solo lies in, "" for the package itself."""
    for part in ("config.load", "export.runtime"):
        if name.startswith(part):
            return part
    return name.split(".")[0]


SOURCES = sorted((ROOT / "solo").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_go_one_way(path):
    mine = unit(path)
    for name in imported_modules(path):
        target = room(name)
        if target in MAY_IMPORT and target:
            assert target in {mine, *EVERYBODY, *MAY_IMPORT[mine]}, f"{mine} imports solo.{name}"


@pytest.mark.parametrize("name", HEADLESS)
def test_targets_losses_and_postprocessing_know_no_head(name):
    for imported in imported_modules(ROOT / "solo" / "modeling" / f"{name}.py"):
        assert "heads" not in imported and "meta_arch" not in imported


def test_there_are_no_circles():
    seen = set()

    def visit(name, trail):
        assert name not in trail, f"circle: {' -> '.join([*trail, name])}"
        if name not in seen:
            for target in MAY_IMPORT.get(name, ()):
                visit(target, (*trail, name))
            seen.add(name)

    for name in MAY_IMPORT:
        visit(name, ())


def test_every_part_has_its_row():
    units = {unit(path) for path in SOURCES}
    assert units == set(MAY_IMPORT)


def test_whoever_finds_instances_needs_nothing_to_draw_or_to_serve():
    heavy = {"matplotlib", "onnx", "jinja2", "gradio"}
    code = f"import sys, solo.inference; print(sorted({heavy} & set(sys.modules)))"
    # From the checkout, which may not be the solo that is installed.
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
