"""Files that say anything of themselves: either they run, or one sentence names the file and the entry."""

import json
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solo.errors import UserError
from solo.export import runtime
from solo.inference import Predictor

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

METADATA = {
    "input": {
        "channels": "RGB",
        "size": None,
        "divisor": 32,
        "short_edge": 20,
        "long_edge": 40,
        "pad_value": [1.0, 2.0, 3.0],
    },
    "outputs": ["masks", "classes", "scores", "count"],
    "mask_thresh": 0.5,
    "class_names": ["a", "b"],
    "category_ids": [7, 9],
}
IMAGE = np.zeros((50, 60, 3), np.uint8)
FOUND = {
    "masks": np.ones((1, 8, 8), np.float32),
    "classes": np.array([1]),
    "scores": np.array([0.75], np.float32),
    "count": np.array(1),
}


def write_model(path, text, found=FOUND, size=("h", "w")):
    """Write a graph that finds the same in each image."""
    constants = [
        onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in found.items()
    ]
    outputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in found.items()
    ]
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 3, *size))
    graph = onnx.helper.make_graph(constants, "constant", [image], outputs)
    opset = onnx.helper.make_opsetid("", 20)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.helper.set_model_props(model, {"solo": text})
    onnx.save(model, path)
    return path


def with_entry(entry, value):
    metadata = deepcopy(METADATA)
    *folders, key = entry.split(".")
    (metadata[folders[0]] if folders else metadata)[key] = value
    return json.dumps(metadata)


@pytest.mark.parametrize(
    ("more", "threshold", "is_evaluated"),
    [
        ({}, 0.3, False),
        ({"threshold": 0.3, "best_f1": None}, 0.3, False),
        ({"threshold": 0.4, "best_f1": {"threshold": 0.4}}, 0.4, True),
    ],
)
def test_the_threshold_of_a_file(tmp_path, more, threshold, is_evaluated):
    path = write_model(tmp_path / "m.onnx", json.dumps({**METADATA, **more}))
    predictor = Predictor.from_onnx(path)
    assert predictor.threshold == threshold and predictor.is_evaluated == is_evaluated
    assert len(predictor(IMAGE)) == 1 and len(predictor(IMAGE, threshold=0.8)) == 0
    assert runtime.Model(path).threshold == more.get("threshold", 0)


def test_a_file_that_is_right(tmp_path):
    predictor = Predictor.from_onnx(write_model(tmp_path / "m.onnx", json.dumps(METADATA)))
    (record,) = predictor.to_dicts(predictor(IMAGE))
    assert (record["category_id"], record["category_name"]) == (9, "b")
    assert record["bbox"] == [0, 0, 60, 50]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("input.divisor", 0),
        ("input.divisor", -32),
        ("input.divisor", 32.0),
        ("input.divisor", 10**9),
        ("input.size", [0, 64]),
        ("input.size", [64]),
        ("input.size", "64"),
        ("input.short_edge", None),
        ("input.short_edge", -1),
        ("input.short_edge", True),
        ("input.long_edge", 10**400),
        ("input.channels", ["RGB"]),
        ("input.pad_value", [1.0, 2.0]),
        ("input.pad_value", [1.0, 2.0, float("nan")]),
        ("input.pad_value", [1.0, 2.0, float("inf")]),
        ("input.pad_value", {"r": 1}),
        ("mask_thresh", float("nan")),
        ("mask_thresh", "0.5"),
        ("threshold", 2),
        ("threshold", None),
        ("class_names", ["a", None]),
        ("class_names", "ab"),
        ("category_ids", [[7], [9]]),
        ("outputs", 4),
    ],
)
def test_an_entry_that_is_wrong_is_named(tmp_path, entry, value):
    path = write_model(tmp_path / "m.onnx", with_entry(entry, value))
    with pytest.raises(ValueError, match=rf"m\.onnx: its metadata says {entry} .*: export it"):
        runtime.Model(path)
    with pytest.raises(UserError, match=entry):
        Predictor.from_onnx(path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{", "[]", "null", '{"input": 3}', '{"input": {}}', "9" * 5000, "\0"],
    ids=lambda text: text[:12],
)
def test_what_is_no_metadata_of_an_export(tmp_path, text):
    with pytest.raises(UserError, match=r"m\.onnx: exported by another version"):
        Predictor.from_onnx(write_model(tmp_path / "m.onnx", text))


def test_a_million_names(tmp_path):
    text = with_entry("class_names", ["a name"] * 10**6)
    with pytest.raises(UserError, match=r"m\.onnx: its metadata has \d+ characters"):
        Predictor.from_onnx(write_model(tmp_path / "m.onnx", text))


def test_an_image_that_becomes_too_large(tmp_path):
    text = with_entry("input.short_edge", 10**6).replace('"long_edge": 40', '"long_edge": 9000000')
    predictor = Predictor.from_onnx(write_model(tmp_path / "m.onnx", text))
    with pytest.raises(UserError, match="becomes 1000000 x 1200000 pixels"):
        predictor(IMAGE)


@pytest.mark.parametrize(
    ("found", "size"),
    [
        ({"classes": np.array([2])}, ("h", "w")),
        ({"classes": np.array([-1])}, ("h", "w")),
        ({"count": np.array(2)}, ("h", "w")),
        ({"masks": np.ones((8, 8), np.float32)}, ("h", "w")),
        ({}, (320, 320)),  # the metadata has no size, so the input is (32, 32)
    ],
)
def test_a_graph_that_does_not_go_with_its_metadata(tmp_path, found, size):
    path = write_model(tmp_path / "m.onnx", json.dumps(METADATA), {**FOUND, **found}, size)
    with pytest.raises(UserError, match=r"m\.onnx: fails on \(1, 3, 32, 32\)"):
        Predictor.from_onnx(path)(IMAGE)


def test_a_graph_without_the_outputs(tmp_path):
    found = {name: value for name, value in FOUND.items() if name != "scores"}
    with pytest.raises(UserError, match=r"m\.onnx: not a model of"):
        Predictor.from_onnx(write_model(tmp_path / "m.onnx", json.dumps(METADATA), found))


NUMBERS = st.sampled_from([0, 1, -1, 7, 2**31, 2**64, 10**400, 0.5, -1e300, 1e300])
ODD = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
ENTRIES = st.sampled_from([*METADATA, *(f"input.{key}" for key in METADATA["input"])])


@settings(max_examples=300, deadline=None)
@given(changes=st.dictionaries(ENTRIES, ODD, min_size=1, max_size=2), missing=st.none() | ENTRIES)
def test_any_metadata_runs_or_is_refused(tmp_path_factory, changes, missing):
    metadata = deepcopy(METADATA)
    for entry, value in sorted(changes.items(), reverse=True):
        *folders, key = entry.split(".")
        (metadata[folders[0]] if folders else metadata)[key] = value
    if missing and "." not in missing:
        del metadata[missing]
    path = write_model(tmp_path_factory.getbasetemp() / "fuzzed.onnx", json.dumps(metadata))
    try:
        predictor = Predictor.from_onnx(path)
        predictor.to_dicts(predictor(IMAGE))
    except UserError as error:
        assert "fuzzed.onnx" in str(error) or "The image becomes" in str(error)


@pytest.mark.parametrize("location", ["../secret.bin", "{folder}/secret.bin", "link.bin"])
def test_weights_outside_the_folder_of_the_file(tmp_path, location):
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = write_model(tmp_path / "model" / "m.onnx", json.dumps(METADATA))
    model = onnx.load(path)
    tensor = model.graph.initializer.add(name="w", data_type=1, dims=[4], data_location=1)
    place = {"location": location.format(folder=tmp_path), "offset": "0", "length": "16"}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    model.graph.node.add(op_type="Identity", input=["w"], output=["more"])
    model.graph.output.add().CopyFrom(onnx.helper.make_tensor_value_info("more", 1, [4]))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"m\.onnx: onnxruntime cannot load it \(.*xternal data"):
        Predictor.from_onnx(path)


def test_a_file_that_ends_too_early(tmp_path):
    path = write_model(tmp_path / "m.onnx", json.dumps(METADATA))
    for size in (0, 10, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(UserError, match=r"m\.onnx: "):
            Predictor.from_onnx(path)
