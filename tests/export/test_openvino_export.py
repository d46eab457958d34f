"""Files of OpenVINO: what they find, what is in them, and what is said of broken ones."""

import json
import subprocess
import sys

import numpy as np
import pytest

from solo.export.openvino import OpenVINOFormat, write_model
from solo.export.openvino_runtime import OpenVINOModel
from solo.inference import Predictor
from solo.inference.opening import open_predictor
from tests.export.conftest import NOTHING, PICTURES
from tests.export.test_exported_files import assert_alike

openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
for package in ("onnx", "onnxscript"):
    pytest.importorskip(package, reason="the extra `export` is not installed")


@pytest.fixture
def both(openvino_export):
    """A model, by its files, and its .xml file for any size."""
    return openvino_export[:2]


@pytest.mark.slow
def test_it_finds_what_the_predictor_finds(both):
    model, done = both
    assert done.agreement.instances > 20 and done.path.name == "model.xml"
    predictor = Predictor.from_config(**model, device="cpu")
    exported = Predictor.from_exported(done.path, threads=1)
    for picture in PICTURES:
        assert_alike(exported.raw(picture), predictor.raw(picture))
    assert len(exported.raw(NOTHING)) == 0
    assert exported.class_names == ("a", "b", "c")
    assert exported.origin == ("model.xml", "OpenVINO", "cpu")


@pytest.mark.slow
def test_the_folder_is_whole_and_runs_alone(both, pictures, tmp_path):
    path = both[1].path
    names = {"model.xml", "model.bin", "model.xml.json", "solo_openvino.py", "solo_runtime.py"}
    assert {file.name for file in path.parent.iterdir()} == names
    assert OpenVINOModel(path).metadata == json.loads(path.with_name("model.xml.json").read_text())
    code = (  # in the present folder, as `python solo_openvino.py` does
        "import sys, runpy\n"
        "for name in ('torch', 'detectron2', 'solo'): sys.modules[name] = None\n"
        "runpy.run_path('solo_openvino.py', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, "model.xml", str(pictures[0])]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"file", "class", "score", "box"} == json.loads(done.stdout.splitlines()[0]).keys()


@pytest.mark.slow
def test_bfloat16_is_asked_for(both, monkeypatch):
    path = str(both[1].path)
    asked = []
    compile_model = openvino.Core.compile_model

    def compile_and_tell(core, model, device, options):
        asked.append(options["INFERENCE_PRECISION_HINT"])
        return compile_model(core, model, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", compile_and_tell)
    monkeypatch.setattr("solo.layers.cpu.computes_in_bfloat16", lambda _: True)
    found = open_predictor(onnx=path).raw(PICTURES[0])  # float32, whatever the CPU computes with
    rounded = open_predictor(onnx=path, opts=["TEST.AMP.ENABLED", "True"]).raw(PICTURES[0])
    assert asked == ["f32", "bf16"]
    assert len(found) and len(rounded)
    with pytest.raises(ValueError, match=r"model\.onnx: onnxruntime has no bfloat16"):
        open_predictor(onnx="model.onnx", opts=["TEST.AMP.ENABLED", "True"])


def test_broken_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.xml: no such file"):
        Predictor.from_exported(tmp_path / "none.xml")
    (tmp_path / "a.xml").write_text("<net")
    with pytest.raises(ValueError, match=r"a\.xml: openvino cannot load it"):
        Predictor.from_exported(tmp_path / "a.xml")


def test_a_graph_of_others_is_told(tmp_path):
    ops = openvino.opset13
    image = ops.parameter([1, 3, -1, -1], np.float32, name="image")
    model = openvino.Model([ops.relu(image)], [image])
    openvino.serialize(model, tmp_path / "a.xml", tmp_path / "a.bin")
    with pytest.raises(ValueError, match=r"a\.xml: not a model of `solo export`"):
        Predictor.from_exported(tmp_path / "a.xml")
    model.set_rt_info('{"input": ', ["solo"])
    openvino.serialize(model, tmp_path / "a.xml", tmp_path / "a.bin")
    with pytest.raises(ValueError, match=r"a\.xml: not a model of `solo export`"):
        Predictor.from_exported(tmp_path / "a.xml")


def test_weights_of_another_export_are_told(tmp_path):
    image = openvino.opset13.parameter([1, 3], np.float32, name="image")
    for name, factor in (("a", 2), ("b", 3)):
        product = openvino.opset13.multiply(image, np.full((1, 3), factor, np.float32))
        write_model(openvino.Model([product], [image]), tmp_path / f"{name}.xml", {})
    (tmp_path / "b.bin").replace(tmp_path / "a.bin")
    with pytest.raises(ValueError, match=r"a\.bin is of another export: take both files of one"):
        OpenVINOModel(tmp_path / "a.xml")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ValueError, match="openvino is not installed: pip install openvino"):
        Predictor.from_exported(tmp_path / "a.xml")


def test_a_full_disk_leaves_no_part(tmp_path, file_size_limit):
    import torch
    from torch import nn

    program = torch.export.export(nn.Linear(100, 100), (torch.zeros(1, 100),))
    with file_size_limit(20_000), pytest.raises(OSError, match=r"cannot be written"):
        OpenVINOFormat().write(program, tmp_path / "model.xml", {"outputs": ["y"]})
    assert list(tmp_path.iterdir()) == []
