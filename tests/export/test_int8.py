"""Models in 8 bits: what is left in float, what is refused, and that nothing of it stays."""

import json
import shutil
import sys
from unittest.mock import MagicMock

import numpy as np
import pytest

from solo.data.formats.coco_json import register_annotations
from solo.errors import UserError
from solo.export.export import QUANTIZED, ExportRequest, export_model
from solo.export.int8 import Int8
from solo.export.int8_check import Int8Agreement
from solo.export.quantization import CalibrationImages, Operation, float_operations, quantized
from solo.export.runtime import Model, prepare, read_image
from solo.inference import Predictor

# More pixels than a byte counts.
MASKS = np.random.default_rng(0).integers(0, 2, (7, 5000))
FOUND = {"dataset": "d", "images": 2, "of": "mask", "instances": 4, "overlaps": [0.9, 1.0]}


def test_what_follows_a_last_layer_is_left_in_float():
    graph = [
        Operation("conv", ["image", "head.tower.0.weight"], ["a"]),
        Operation("relu", ["a"], ["b"]),
        Operation("scores", ["b", "head.category_predictor.weight"], ["c"]),
        Operation("feature", ["b", "head.mask_feature.levels.0.weight"], ["d"]),
        Operation("kernels", ["b", "head.kernel_predictor.weight"], ["e"]),
        Operation("masks", ["d", "e"], ["f"]),
    ]
    assert float_operations(graph) == ["scores", "kernels", "masks"]


def test_a_graph_without_such_layers_is_told(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "nncf", MagicMock())
    quantized("model", [Operation("conv", ["image", "stem.weight"], ["a"])], [])
    assert "the ends of the heads are in 8 bits, too" in caplog.text


def test_a_drop_is_told_and_refused():
    agreement = Int8Agreement(**FOUND, float_ap=40.0, int8_ap=38.8)
    assert str(agreement) == (
        "mask AP 40.00 in float, 38.80 in int8 on 2 images of d; 50.0% of 4 instances are found in "
        "int8, too, with an IoU of 0.950 in the mean"
    )
    with pytest.raises(
        ValueError, match=r"loses 1\.20 AP, and 1 is the most: .* --max-drop 2 takes"
    ):
        agreement.check()
    agreement.check(1.5)
    Int8Agreement(**FOUND, float_ap=40.0, int8_ap=39.1).check()


@pytest.mark.parametrize("ap", [0.0, float("nan")])
def test_no_ap_is_nothing_to_compare(ap):
    with pytest.raises(ValueError, match="The model in float has no AP on d"):
        Int8Agreement(**FOUND, float_ap=ap, int8_ap=ap).check(100)


def test_other_formats_have_no_int8(tmp_path):
    model = {"config_file": "c.yaml", "weights": "w.pth", "output": tmp_path, "int8": Int8()}
    for more in ({"format": "torch_export"}, {"post": "raw"}):
        with pytest.raises(
            ValueError, match="--int8 is of --format onnx and openvino, with --post nms"
        ):
            ExportRequest(**model, **more)
    with pytest.raises(ValueError, match="--int8 or --static"):
        ExportRequest(**model, static=True)
    with pytest.raises(ValueError, match="--static is for compilers of ONNX"):
        ExportRequest(**{**model, "int8": None}, static=True, format="openvino")


@pytest.fixture(scope="module")
def dataset(files, pictures, tmp_path_factory):
    """A model, and a registered data set of what it finds itself."""
    model, path = files("SOLOv2"), tmp_path_factory.mktemp("data") / "found.json"
    predictor = Predictor.from_config(
        **model, device="cpu", opts=["MODEL.SOLO.TEST.MASK_FORMAT", "rle"]
    )
    images, annotations = [], []
    for number, picture in enumerate(pictures, start=1):
        instances = predictor.raw(picture)[:8]
        height, width = instances.image_size
        images.append({"id": number, "file_name": picture.name, "height": height, "width": width})
        for found in predictor.to_dicts(instances):
            annotation = {name: found[name] for name in ("category_id", "bbox", "segmentation")}
            annotation |= {"id": len(annotations) + 1, "image_id": number, "iscrowd": 0}
            annotations.append({**annotation, "area": float(np.prod(found["bbox"][2:]))})
    categories = [{"id": index, "name": name} for index, name in enumerate("abc")]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return model, register_annotations(str(path), str(pictures[0].parent), "coco")


def test_calibration_takes_the_same_images_each_time(dataset, pictures):
    rules = {"channels": "BGR", "size": None, "divisor": 32, "short_edge": 0, "long_edge": 0}
    rules["pad_value"] = [0, 0, 0]
    first, second = (CalibrationImages([dataset[1]], rules) for _ in range(2))
    assert len(first) == len(pictures)
    for one, other, again in zip(first, second, first, strict=True):
        assert one.shape[:2] == (1, 3) and (one == other).all() and (one == again).all()


def test_an_image_that_becomes_too_large_is_named(dataset):
    rules = {"channels": "BGR", "size": (10**5, 10**5), "divisor": 32, "pad_value": [0, 0, 0]}
    with pytest.raises(UserError, match=r"--int8: .*\.png: The image becomes 100000 x"):
        next(iter(CalibrationImages([dataset[1]], rules)))


@pytest.fixture
def packages():
    for package in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
        pytest.importorskip(package, reason="the extras `export` and `openvino` are not installed")


@pytest.mark.slow
@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("word", ["openvino", "onnx"])
def test_a_file_of_integers(word, request, dataset, pictures, tmp_path, monkeypatch):
    _, done, onnx = request.getfixturevalue("openvino_export")
    path = onnx if word == "onnx" else done.path
    wanted = {**dataset[0], "images": pictures, "format": word}
    # The same model again: what was traced and translated is taken from there.
    file_format = type(QUANTIZED[word])
    monkeypatch.setattr("solo.export.export.trace", lambda *_: None)
    monkeypatch.setattr(
        file_format,
        "write",
        lambda self, _, target, metadata: [
            shutil.copy(path.with_suffix(suffix), target.with_suffix(suffix))
            for suffix in self.suffixes
        ],
    )
    names = {"calibrate_on": [dataset[1]], "compare_on": dataset[1]}
    wanted["output"] = tmp_path
    with pytest.raises(ValueError, match=r"int8 loses .* AP, and -101 is the most: mask AP"):
        export_model(ExportRequest(**wanted, int8=Int8(**names, max_drop=-101)))
    assert list(tmp_path.iterdir()) == []
    done = export_model(ExportRequest(**wanted, int8=Int8(**names, max_drop=100, num_images=2)))
    # Weights at random: their masks have no margin to lose.
    assert done.int8.images == 2 and done.int8.float_ap > 50 and done.int8.int8_ap > 10
    assert done.int8.overlaps and min(done.int8.overlaps) >= 0.5
    described = json.loads(done.path.with_name(f"{done.path.name}.json").read_text())
    assert described["int8"] == {"calibrated_on": ["found.json"], "images": 3}
    weights = done.path.with_suffix({"onnx": ".onnx", "openvino": ".bin"}[word])
    assert weights.stat().st_size < 0.6 * path.with_suffix(weights.suffix).stat().st_size


@pytest.mark.usefixtures("packages")
def test_an_exported_graph_finds_the_same_by_bytes(request, pictures, tmp_path):
    import onnx

    from solo.export.onnx import multiply_as_bytes

    *_, path = request.getfixturevalue("openvino_export")
    model, changed = onnx.load(path), tmp_path / "model.onnx"
    multiply_as_bytes(model.graph)
    assert [node.op_type for node in model.graph.node].count("MatMulInteger") == 1
    onnx.save(model, changed)
    for picture in pictures:
        floats, integers = (Model(file) for file in (path, changed))
        inputs, _ = prepare(read_image(picture), floats.metadata["input"])
        expected, found = floats.run(inputs), integers.run(inputs)
        # The suppression lowers scores: without overlaps they would be others.
        assert expected["count"] > 1
        for name, value in expected.items():
            assert np.array_equal(found[name], value), name


def test_masks_are_multiplied_as_bytes_in_openvino(tmp_path):
    openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    from solo.export.openvino import multiply_as_bytes

    ops = openvino.opset13
    masks = ops.parameter([-1, -1], np.float32, name="masks")
    product = ops.matmul(masks, ops.transpose(masks, [1, 0]), False, False)
    model = openvino.Model([product], [masks])
    multiply_as_bytes(model)
    assert sum(node.get_type_name() == "FakeQuantize" for node in model.get_ordered_ops()) == 2
    graph = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    shown = MASKS.astype(np.float32)
    np.testing.assert_array_equal(graph([shown])[0], shown @ shown.T)


def test_masks_are_multiplied_as_bytes_in_onnx():
    pytest.importorskip("onnx", reason="the extra `export` is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    from onnx import TensorProto, helper

    from solo.export.onnx import multiply_as_bytes

    nodes = [
        helper.make_node("Transpose", ["masks"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["masks", "turned"], ["product"], name="product"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None])
        for name in ("masks", "product")
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    multiply_as_bytes(graph)
    assert "MatMulInteger" in {node.op_type for node in graph.node}
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    shown = MASKS.astype(np.float32)
    np.testing.assert_array_equal(session.run(None, {"masks": shown})[0], shown @ shown.T)
