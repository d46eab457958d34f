"""The benchmark of runtimes: torch and onnxruntime find the same, and each has a speed."""

import json

import cv2
import pytest
import torch

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="needs pip install -e .[export]")

import compare_runtimes  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["given", "random"])
def test_rows_of_all_runtimes(files, pictures, tmp_path, capsys, weights):
    source, path = files("SOLOv2"), tmp_path / "rows.json"
    # The number of threads stays when the command has ended.
    arguments = ["--threads", str(torch.get_num_threads()), "--config-file"]
    arguments += [str(source["config_file"]), "--images", *map(str, pictures)]
    if weights == "given":
        arguments += ["--weights", source["weights"]]
    else:
        arguments += ["--ap"]
    picture = tmp_path / "found.png"
    arguments += ["--picture", str(picture)]
    compare_runtimes.main([*arguments, "--rounds", "2", "--json", str(path)])
    rows = {row["runtime"]: row for row in json.loads(path.read_text())["rows"]}
    assert {"torch", "onnxruntime"} <= rows.keys()
    assert rows["torch"]["ratio"] == 1
    for row in rows.values():
        assert 0 < row["lowest"] <= row["rate"] <= row["highest"]
        assert row["instances"] == rows["torch"]["instances"] > 0
        # Of random weights, on what torch finds.
        assert weights == "given" or row["ap"] > 90
    assert "onnxruntime" in capsys.readouterr().out
    # A picture beside the other, for each.
    assert cv2.imread(str(picture)).shape[1] > len(rows) * 200


def test_rounds_below_one():
    with pytest.raises(SystemExit, match="--rounds"):
        compare_runtimes.main(["--config-file", "c.yaml", "--rounds", "0"])
