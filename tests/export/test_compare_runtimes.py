"""The benchmark of runtimes: torch and onnxruntime find the same, and each has a speed."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="needs pip install -e .[export]")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "compare_runtimes.py"


@pytest.fixture
def compare_runtimes():
    spec = importlib.util.spec_from_file_location("compare_runtimes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["given", "random"])
def test_rows_of_all_runtimes(compare_runtimes, files, pictures, tmp_path, capsys, weights):
    source, path = files("SOLOv2"), tmp_path / "rows.json"
    # The number of threads stays when the command has ended.
    arguments = ["--threads", str(torch.get_num_threads()), "--config-file"]
    arguments += [str(source["config_file"]), "--images", *map(str, pictures)]
    if weights == "given":
        arguments += ["--weights", source["weights"]]
    compare_runtimes.main([*arguments, "--rounds", "2", "--json", str(path)])
    rows = {row["runtime"]: row for row in json.loads(path.read_text())["rows"]}
    assert {"torch", "onnxruntime"} <= rows.keys()
    assert rows["torch"]["ratio"] == 1
    for row in rows.values():
        assert 0 < row["lowest"] <= row["rate"] <= row["highest"]
        assert row["instances"] == rows["torch"]["instances"] > 0
    assert "onnxruntime" in capsys.readouterr().out


def test_rounds_below_one(compare_runtimes):
    with pytest.raises(SystemExit, match="--rounds"):
        compare_runtimes.main(["--config-file", "c.yaml", "--rounds", "0"])
