import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "compare_mmdet.py"


def run(*arguments):
    command = [
        sys.executable,
        str(SCRIPT),
        "--quick",
        "--repeats",
        "2",
        "--threads",
        "1",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_every_kind_of_case(tmp_path):
    path, picture = tmp_path / "rows.json", tmp_path / "rows.png"
    names = ["targets-2x5", "targets_losses-2x5", "infer-100-480x640", "post-filling-1024x2048"]
    names.append("train-solo-1x20")
    done = run("--no-memory", "--json", str(path), "--only", ",".join(names))
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    assert rows.keys() == set(names)
    for row in rows.values():
        assert row["ours_ms"] > 0 and row["theirs_ms"] > 0 and row["note"]
        assert row["lowest"] <= row["highest"] and row["command"] and row["cpu"]
    assert "all equal" in rows["targets-2x5"]["note"]

    # Measured anew: in the place of the old row.
    done = run("--json", str(path), "--only", "post-filling-1024x2048")
    assert done.returncode == 0, done.stderr
    again = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    assert list(again) == list(rows)
    assert again["post-filling-1024x2048"]["memory_share"] > 0
    assert run("--json", str(path), "--plot", str(picture)).returncode == 0
    assert cv2.imread(str(picture)).std() > 10


@pytest.mark.slow
def test_stages_of_both_sides():
    done = run("--only", "infer-light", "--stages")
    assert done.returncode == 0, done.stderr
    theirs, ours, _ = done.stdout.split("infer-light-500-480x640,")
    both = ("preprocess", "backbone", "head", "RLE", "the rest", "all")
    for table, stages in (
        (theirs, (*both, "candidates to masks", "boxes")),
        (ours, (*both, "NMS")),
    ):
        assert all(f"\n{stage} " in table for stage in stages)


@pytest.mark.slow
def test_unknown_case_is_named():
    done = run("--only", "nonsense")
    assert done.returncode == 1
    # What libraries warn of stands before it.
    message = done.stderr.splitlines()[-1]
    assert message.startswith("error: --only nonsense: choose from targets-1x5")
