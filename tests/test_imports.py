"""The shelves of docs/architecture.md: a room imports what lies below it, read from the sources."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top: a room, a package or module of solo, imports rooms of lower shelves only.
SHELVES = (
    ("__main__",),
    ("cli",),
    ("",),  # the package itself, which registers its parts with detectron2
    ("benchmark",),
    ("training", "report", "survey", "export", "demo"),
    ("inference",),
    ("model_zoo",),
    ("config.load",),
    ("evaluation",),
    ("data", "modeling", "yolox", "checkpoint", "visualization"),
    ("export.openvino_runtime",),
    ("layers", "export.runtime"),
    ("structures", "config", "images", "input_files"),
    ("files", "garbage", "user_modules", "environment", "terminal", "reached", "peak_memory"),
    ("architectures",),
    ("errors", "others_warnings"),
)
SHELF_OF = {room: number for number, shelf in enumerate(SHELVES) for room in shelf}
# Files that stand apart from their rooms: config/load.py asks the data sets, export/*runtime.py run alone.
APART = ("config.load", "export.openvino_runtime", "export.runtime")
# Within modeling: the parts that get tensors and never know a head.
HEADLESS = (
    *(
        "grids",
        "targets",
        "losses",
        "category_loss",
        "dynamic_assignment",
        "predictions",
        "normalisers",
        "quality_losses",
        "mask_quality",
        "mask_supervision",
        "semantic_loss",
        "rank_sort",
        "box_terms",
        "mask_terms",
        "postprocessing",
        "candidates",
    ),
)
# Names that mean the same thing in two rooms: a format of data and its evaluator; parts of SOLO and of YOLOX.
TWICE = {"__init__", "cityscapes", "voc", "losses", "meta_arch", "neck"}

SOURCES = sorted((ROOT / "solo").rglob("*.py"))


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


def room_of(name):
    """Return the room that a dotted name of solo lies in; the package itself has what it defines."""
    for apart in APART:
        if name == apart or name.startswith(f"{apart}."):
            return apart
    first = name.split(".")[0]
    return first if first in SHELF_OF else ""


def unit(path):
    parts = path.relative_to(ROOT / "solo").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    mine = room_of(unit(path))
    for name in imported_modules(path):
        other = room_of(name)
        # `import solo` alone, for its version.
        if other not in (mine, ""):
            assert SHELF_OF[other] > SHELF_OF[mine], f"{mine} imports solo.{name}"


@pytest.mark.parametrize("name", HEADLESS)
def test_targets_losses_and_postprocessing_know_no_head(name):
    for imported in imported_modules(ROOT / "solo" / "modeling" / f"{name}.py"):
        assert "heads" not in imported and "meta_arch" not in imported


def test_every_room_has_its_shelf():
    rooms = {unit(path).split(".")[0] for path in SOURCES}
    assert rooms == {room for room in SHELF_OF if "." not in room}


def test_a_name_of_a_file_means_one_thing():
    counts = Counter(path.stem for path in SOURCES)
    # The file of a command has the name of what it does.
    commands = {path.stem for path in (ROOT / "solo" / "cli").rglob("*.py")}
    assert {name for name, count in counts.items() if count > 1} - commands <= TWICE


@pytest.mark.parametrize("folder", ["solo", "demo"])
def test_files_and_functions_are_short(folder):
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"


@pytest.mark.parametrize("module", ["solo", "solo.inference"])
def test_whoever_finds_instances_needs_nothing_to_draw_or_to_serve(module):
    code = f"import sys, {module}; print(*sys.modules)"
    # From the checkout, which may not be the solo that is installed.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"matplotlib", "onnx", "jinja2", "gradio", "solo.yolox.meta_arch"} & set(
        done.stdout.split()
    )
