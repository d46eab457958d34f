"""What is the same model, and what is another."""

from pathlib import Path

import pytest
import torch

from solo.inference.model_identity import model_identity
from tests import blobs

model = blobs.model


def test_what_weights_hold_counts_and_not_where_they_are(model, tmp_path):
    config, weights = model[1], model[3]
    identity = model_identity(config, weights)
    moved = tmp_path / "moved.pth"
    moved.write_bytes(Path(weights).read_bytes())
    assert model_identity(config, str(moved)) == identity
    assert model_identity(config, opts=["MODEL.WEIGHTS", str(moved)]) == identity
    assert model_identity(config, weights, opts=["OUTPUT_DIR", "elsewhere"]) == identity
    torch.save({"model": {"threshold": torch.tensor(100.0)}}, weights)
    assert model_identity(config, weights) != identity


def test_settings_count(model):
    files = model[1], model[3]
    others = [{}, {"tiles": 64}, {"tiles": 96}, {"opts": ["INPUT.MIN_SIZE_TEST", "80"]}]
    assert len({model_identity(*files, **other) for other in others}) == len(others)


def test_exported_files_count_whole(tmp_path):
    graph, weights = tmp_path / "a.xml", tmp_path / "a.bin"
    graph.write_bytes(b"graph")
    weights.write_bytes(b"1")
    before = model_identity(onnx=str(graph))
    assert model_identity(onnx=str(graph), opts=["TEST.AMP.ENABLED", "True"]) != before
    weights.write_bytes(b"2")
    assert model_identity(onnx=str(graph)) != before
    weights.write_bytes(b"1")
    assert model_identity(onnx=str(graph)) == before
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"a.bin: no such file"):
        model_identity(onnx=str(graph))
