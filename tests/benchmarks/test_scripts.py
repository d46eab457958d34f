"""Every script helps with an example, and docs/performance.md says what it is for."""

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_help_has_an_example(path, monkeypatch, capsys):
    if path.stem == "compare_mmdet":
        pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert not stop.value.code
    assert f"Examples:\n    python benchmarks/{path.name}" in capsys.readouterr().out


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_is_documented(path):
    assert f"python benchmarks/{path.name}" in (ROOT / "docs" / "performance.md").read_text()


def test_nothing_is_imported_from_the_tests():
    for path in (ROOT / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] not in ("tests", "pytest"), path.name
