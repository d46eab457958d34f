"""The runner: its own steps beside those of detectron2 and of the library, and its life without torch."""

import json
import subprocess
import sys
import tracemalloc
import venv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.data.detection_utils import read_image
from detectron2.data.transforms import ResizeShortestEdge
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from solo.export import runtime
from solo.inference.exported_backend import ExportedBackend
from solo.layers.output import binary_masks
from solo.structures.image_size import ImageSize
from solo.structures.run_lengths import encode_masks
from tests.export.conftest import PICTURES, blobs

RULES = {
    "channels": "RGB",
    "size": None,
    "divisor": 32,
    "short_edge": 800,
    "long_edge": 1333,
    "pad_value": [123.675, 116.28, 103.53],
}
SOURCE = Path(runtime.__file__)


@settings(max_examples=300, deadline=None)
@given(
    size=st.tuples(st.integers(20, 3000), st.integers(20, 3000)),
    edges=st.sampled_from([(800, 1333), (448, 768), (192, 192), (600, 1000)]),
)
def test_sizes_are_those_of_detectron2(size, edges):
    rules = {**RULES, "short_edge": edges[0], "long_edge": edges[1]}
    assert runtime.resized_size(size, rules) == ResizeShortestEdge.get_output_shape(*size, *edges)


@pytest.mark.parametrize(("short", "longest"), [(70, 100), (33, 40), (0, 0), (200, 500)])
def test_pixels_are_those_of_detectron2(short, longest):
    image = blobs(61, 85, 0)
    inputs, frames = runtime.prepare(image, {**RULES, "short_edge": short, "long_edge": longest})
    transform = ResizeShortestEdge([short, short], longest).get_transform(image)
    expected = transform.apply_image(np.ascontiguousarray(image[:, :, ::-1]))
    height, width = expected.shape[:2]
    assert frames.resized == (height, width) and frames.original == (61, 85)
    np.testing.assert_array_equal(inputs[0, :, :height, :width], expected.transpose(2, 0, 1))
    assert frames.padded == inputs.shape[2:]
    assert all(side % 32 == 0 for side in frames.padded)
    # Zero after the subtraction of the mean in float32.
    mean = np.float32(RULES["pad_value"])[:, None]
    assert (inputs[0, :, height:].reshape(3, -1) - mean == 0).all()


def test_a_fixed_size_holds_the_whole_image():
    rules = {**RULES, "size": [128, 160], "channels": "BGR"}
    for shape in ((300, 90), (90, 300), (128, 160), (4, 5)):
        inputs, frames = runtime.prepare(blobs(*shape, 0), rules)
        assert inputs.shape == (1, 3, 128, 160)
        assert frames.resized[0] == 128 or frames.resized[1] == 160
        ratio = frames.resized[0] / frames.resized[1] * shape[1] / shape[0]
        assert 0.98 < ratio < 1.02


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match="NumPy array"):
        runtime.prepare(image, RULES)


@pytest.mark.parametrize("original", [(100, 150), (333, 500), (60, 90)])
def test_masks_are_those_of_evaluation(original):
    generator = torch.Generator().manual_seed(0)
    soft = torch.rand(6, 4, 5, generator=generator)
    soft = torch.nn.functional.interpolate(soft[None], size=(32, 40), mode="bicubic")[0]
    soft[5] = 0.2
    frames = runtime.Frames((128, 160), (100, 150), original)
    outputs = {
        "masks": np.concatenate([soft.numpy(), np.ones((2, 32, 40), np.float32)]),
        "scores": np.zeros(8, np.float32),
        "classes": np.zeros(8, np.int64),
        "count": np.int64(6),
    }
    found = runtime.finish(outputs, frames, 0.5)
    masks, boxes = binary_masks(soft, ImageSize(*frames), 0.5)
    assert found.masks.any(axis=(1, 2)).tolist() == [True] * 5 + [False]
    assert (found.masks != masks.numpy()).mean(axis=(1, 2)).max() <= 1e-4
    np.testing.assert_allclose(found.boxes, boxes, atol=1)


@pytest.mark.parametrize("post", ["nms", "raw"])
def test_each_object_once_from_the_threshold_on(fake_graph, monkeypatch, post):
    fake_graph(json.dumps({**METADATA, "post": post, "threshold": 0.3}))
    soft = np.zeros((6, 8, 8), np.float32)
    soft[[0, 1], :, :5] = soft[2, :, 6:] = soft[4, :5, 6:] = soft[5] = 1  # the fourth is empty
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0], np.float32)
    outputs = {"masks": soft, "scores": scores, "classes": np.arange(6) % 2, "count": np.int64(5)}
    monkeypatch.setattr(runtime.Model, "run", lambda *_: dict(outputs))
    model, image = runtime.Model("m.onnx"), np.zeros((64, 64, 3), np.uint8)
    assert model.threshold == 0.3
    if post == "raw":  # whoever wants all candidates suppresses them
        assert len(model(image).scores) == 5
        return
    assert model(image).scores.tolist() == pytest.approx([0.9, 0.7])
    found = model(image, threshold=0)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])  # the fifth is most of the third
    assert found.masks.shape == (2, 64, 64) and found.classes.tolist() == [0, 0]
    soft[4, 2:] = 0
    assert model(image, threshold=0.2).scores.tolist() == pytest.approx([0.9, 0.7, 0.2])


def test_it_needs_neither_torch_nor_the_package():
    code = (
        "import sys, runpy\n"
        "for name in ('torch', 'detectron2', 'solo'): sys.modules[name] = None\n"
        f"runpy.run_path({str(SOURCE)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "python solo_runtime.py model.onnx" in done.stdout, done.stderr


def test_files_that_are_no_models(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    with pytest.raises(FileNotFoundError):
        runtime.Model(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ValueError, match="cannot load"):
        runtime.Model(tmp_path / "broken.onnx")


METADATA = {
    "input": {**RULES, "short_edge": 0},
    "outputs": ["masks", "scores", "classes", "count"],
    "mask_thresh": 0.5,
    "class_names": ["a"],
    "category_ids": [7],
}


@pytest.fixture
def fake_graph(monkeypatch):
    """Return a function that sets the metadata of every file; each finds one full mask."""

    def set_metadata(text):
        outputs = {
            "masks": np.ones((1, 8, 8), np.float32),
            "scores": np.array([0.75], np.float32),
            "classes": np.zeros(1, np.int64),
            "count": np.int64(1),
        }
        graph = list(outputs), text, lambda inputs: list(outputs.values())
        monkeypatch.setattr(runtime.Model, "_load", lambda *args: graph)

    return set_metadata


@pytest.mark.parametrize("missing", [None, "input", "outputs", "mask_thresh", "category_ids"])
def test_metadata_of_other_versions(fake_graph, missing):
    kept = {key: value for key, value in METADATA.items() if key != missing}
    fake_graph(json.dumps(kept) if missing else '{"input": ')
    with pytest.raises(ValueError, match=r"^m\.onnx: exported by another version: export it again"):
        runtime.Model("m.onnx")


def test_the_predictor_wants_suppressed_candidates(fake_graph):
    fake_graph(json.dumps({**METADATA, "post": "nms"}))
    assert ExportedBackend("m.onnx").category_ids == (7,)
    fake_graph(json.dumps({**METADATA, "post": "raw"}))
    with pytest.raises(ValueError, match=r"m\.onnx: exported with --post raw, without suppression"):
        ExportedBackend("m.onnx")


def test_run_lengths_are_those_of_the_bitmaps(fake_graph):
    fake_graph(json.dumps({**METADATA, "post": "nms"}))
    image = np.zeros((50, 70, 3), np.uint8)
    (bitmaps,) = ExportedBackend("m.onnx").find([image])
    (encoded,) = ExportedBackend("m.onnx", mask_format="rle").find([image])
    assert not encoded.has("pred_masks") and encoded.image_size == (50, 70)
    assert encoded.pred_rles == encode_masks(bitmaps.pred_masks)
    assert torch.equal(encoded.pred_boxes.tensor, bitmaps.pred_boxes.tensor)
    assert encoded.scores.tolist() == [0.75] and encoded.pred_classes.tolist() == [0]
    with pytest.raises(ValueError, match="mask_format is 'polygons'; use one of bitmask, rle"):
        ExportedBackend("m.onnx", mask_format="polygons")


def test_run_lengths_need_no_masks_of_the_size_of_the_image(fake_graph, monkeypatch):
    fake_graph(json.dumps({**METADATA, "post": "nms"}))
    number, side = 200, 1000
    outputs = {
        "masks": np.zeros((number, 32, 32), np.float32),
        "scores": np.ones(number, np.float32),
        "classes": np.zeros(number, np.int64),
        "count": np.int64(number),
    }
    outputs["masks"][:, 4:8, 6:10] = 1
    monkeypatch.setattr(runtime.Model, "run", lambda *_: outputs)
    predictor = ExportedBackend("m.onnx", mask_format="rle")
    image = np.zeros((side, side, 3), np.uint8)
    tracemalloc.start()
    try:
        (found,) = predictor.find([image])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.pred_rles) == number
    assert peak < number * side * side / 4


def test_images_are_read_as_training_reads_them(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    Image.fromarray(blobs(20, 30, 0)).save(tmp_path / "a.png", exif=exif)
    found = runtime.read_image(tmp_path / "a.png")
    assert found.shape == (30, 20, 3)
    assert np.array_equal(found, read_image(str(tmp_path / "a.png"), "BGR"))
    gray = np.array([[0, 255, 256, 65535]], np.uint16)
    Image.fromarray(gray).save(tmp_path / "b.png")
    assert runtime.read_image(tmp_path / "b.png")[0].tolist() == [[i] * 3 for i in (0, 0, 1, 255)]


def test_bad_images_do_not_keep_the_others(fake_graph, tmp_path, capsys):
    fake_graph(json.dumps(METADATA))
    good, cut, none = (tmp_path / name for name in ("good.png", "cut.png", "none.png"))
    Image.fromarray(blobs(200, 210, 0)).save(good)
    cut.write_bytes(good.read_bytes()[:-300])
    with pytest.raises(SystemExit) as stopped:
        runtime.main(["m.onnx", *map(str, (cut, none, good))])
    assert stopped.value.code == 1
    told = capsys.readouterr()
    assert [json.loads(line)["file"] for line in told.out.splitlines()] == [str(good)]
    assert [line.split(": ")[1] for line in told.err.splitlines()] == [str(cut), str(none)]
    runtime.main(["m.onnx", str(good)])


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python with the four packages that the runner needs, and no other."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = ["numpy", "opencv-python-headless", "onnxruntime", "pillow"]
    install = [python, "-m", "pip", "install", "--quiet", "--retries", "0", *packages]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    return python


# A virtual environment, and an export.
@pytest.mark.slow
def test_it_runs_where_there_is_no_torch(bare_python, files, pictures, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra `export` is not installed")
    from solo.export.export import ExportRequest, export_model
    from solo.inference import Predictor

    model = files("SOLOv2")
    export_model(ExportRequest(**model, output=tmp_path, images=pictures))
    predictor = Predictor.from_config(**model, device="cpu")
    expected = [predictor(picture, threshold=0) for picture in PICTURES]

    code = (
        "import importlib.util, sys, cv2, numpy as np\n"
        "assert not importlib.util.find_spec('torch')\n"
        "from solo_runtime import Model\n"
        "model = Model('model.onnx')\n"
        "for index, name in enumerate(sys.argv[1:]):\n"
        "    np.savez(f'{index}.npz', **model(cv2.imread(name), threshold=0)._asdict())\n"
    )
    subprocess.run([bare_python, "-c", code, *pictures], cwd=tmp_path, check=True)
    for index, instances in enumerate(expected):
        with np.load(tmp_path / f"{index}.npz") as found:
            np.testing.assert_array_equal(found["classes"], instances.pred_classes)
            np.testing.assert_allclose(found["scores"], instances.scores, atol=1e-3)
            differing = (found["masks"] != instances.pred_masks.numpy()).sum(axis=(1, 2))
            assert differing.max() <= 1

    command = [bare_python, "solo_runtime.py", "model.onnx", str(pictures[0])]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in printed.stdout.splitlines()]
    assert len(lines) == len(predictor(pictures[0]))
    assert lines[0]["class"] == "abc"[expected[0].pred_classes[0]]
    assert cv2.imread(lines[0]["file"]) is not None
