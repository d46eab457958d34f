"""The tutorials do what they say: each page is run from top to bottom, on toy data and a toy model."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.page_runner import blocks_of, lines_of
from tests.documented_commands import NOT_IN_TUTORIALS, ROOT, TUTORIALS
from tests.toy_folder import write_toys

PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
# What a reader has after a page.
LEAVES = {
    "photo": ("predictions/photo.jpg", "drawn.png", "drawn/a.jpg", "found.json"),
    "own_data": ("output/cats/plan.yaml", "output/cats/model_best.pth", "output/cats/report.html"),
    "fine_tune": ("analysis/analysis.png", "compared.png", "numbers.json", "output/more/log.txt"),
    "deploy": ("exported/model.onnx", "drawn/a.jpg"),
    "add_a_head": ("output/mine/model_final.pth", "predictions/photo.jpg", "exported/model.onnx"),
}


def prepare(folder, page):
    """Write what a reader has before a page."""
    write_toys(folder)
    (folder / "cats.yaml").rename(folder / "toy.yaml")
    if page.stem == "fine_tune":
        (folder / "output" / "cats").rename(folder / "output" / "start")
    for name in ("cats", "quickstart", "run_a", "run_b"):
        if (name, page.stem) != ("cats", "deploy"):
            shutil.rmtree(folder / "output" / name, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_from_top_to_bottom(page, tmp_path):
    prepare(tmp_path, page)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.docs.page_runner", str(page)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    missing = [name for name in LEAVES[page.stem] if not (tmp_path / name).is_file()]
    assert not missing
    if page.stem == "photo":
        assert json.loads((tmp_path / "predictions" / "instances.json").read_text())


def test_each_entry_of_the_tables_is_of_a_page():
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language == "sh"]
    lines = [line for block in blocks for line in lines_of(block)]
    for start in (*TUTORIALS, *NOT_IN_TUTORIALS):
        assert any(line.startswith(start) for line in lines), start
