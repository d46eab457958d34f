"""Exported files, run by what reads them, beside the model they were made from."""

import json

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from solo.export.check import MAX_SCORE_ERROR
from solo.export.export import ExportRequest, export_model
from solo.export.onnx import OnnxFormat
from solo.export.runtime import Model
from solo.export.torch_export import TorchExportFormat, read_program
from solo.inference import Predictor, TileRule
from solo.layers.one_label import one_per_object
from solo.layers.output import binary_masks
from solo.structures.instances import select_confident
from tests.export.conftest import NOTHING, PICTURES

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="the extra `export` is not installed")

VARIANTS = [
    *["SOLOv2", "SOLO", "DecoupledSOLO", "DecoupledSOLOLight", "SOLOv2DCN", "SOLOSoftmax"],
    "SOLOv2Quality",
]


@pytest.fixture(scope="module", params=VARIANTS)
def both(request, files, pictures, tmp_path_factory):
    """A model, by its files, and its ONNX file for any size."""
    model = files(request.param)
    folder = tmp_path_factory.mktemp("exported")
    return model, export_model(ExportRequest(**model, output=folder, images=pictures))


def assert_alike(found, expected):
    assert len(found) == len(expected)
    # On masks of a dozen pixels, one within rounding of the threshold moves the score.
    np.testing.assert_allclose(found.scores, expected.scores, atol=MAX_SCORE_ERROR, rtol=0)
    # Instances whose scores are nearly equal may change places.
    area = expected.image_size[0] * expected.image_size[1]
    pixels = (found.pred_masks[:, None] != expected.pred_masks[None]).sum(dim=(2, 3))
    pixels[found.pred_classes[:, None] != expected.pred_classes[None]] = area
    pixels, same = pixels.min(dim=0)
    assert pixels.max() <= max(1, 1e-4 * area)
    moved = found.pred_boxes.tensor[same] - expected.pred_boxes.tensor
    assert (moved[pixels == 0] == 0).all()


# A few seconds each to trace, and a few to translate.
@pytest.mark.slow
def test_onnx_finds_what_the_predictor_finds(both):
    model, done = both
    assert done.agreement.instances > 20
    predictor = Predictor.from_config(**model, device="cpu")
    exported = Predictor.from_onnx(done.path, threads=1)
    # 100 x 150, 150 x 100 and 100 x 105 pixels after resizing: three sizes of the input.
    for picture in PICTURES:
        expected = predictor.raw(picture)
        assert len(expected) > 3
        assert_alike(exported.raw(picture), expected)
    assert exported.class_names == ("a", "b", "c") and exported.category_ids == (0, 1, 2)


@pytest.mark.slow
def test_masks_below_the_threshold_are_not_made(both, monkeypatch):
    exported, made = Predictor.from_onnx(both[1].path, threads=1), []

    def masks_of(soft, *arguments):
        made.append(len(soft))
        return binary_masks(soft, *arguments)

    monkeypatch.setattr("solo.inference.exported_backend.binary_masks", masks_of)
    raw = exported.raw(PICTURES[0])
    least = raw.scores[len(raw) // 2].item()
    found = exported(PICTURES[0], threshold=least)
    assert made == [len(raw), int((raw.scores >= least).sum())] and made[1] < made[0]
    assert_alike(found, one_per_object(select_confident(raw, least)))


@pytest.mark.slow
def test_onnx_finds_the_same_in_tiles(both):
    model, done = both
    rule = TileRule(size=128)
    expected = Predictor.from_config(**model, device="cpu", tiles=rule).raw(PICTURES[2])
    assert len(expected) > 3
    assert_alike(Predictor.from_onnx(done.path, threads=1, tiles=rule).raw(PICTURES[2]), expected)


@pytest.mark.slow
def test_onnx_for_any_size_is_no_static_graph(both):
    import onnx

    from solo.export.tensorrt_rules import refusals

    found = "\n".join(refusals(onnx.load(both[1].path)))
    assert all(kind in found for kind in ("Shape", "Resize", "Range", "Expand", "tensor image"))


@pytest.mark.slow
def test_onnx_finds_nothing_where_nothing_is(both):
    model, done = both
    assert len(Predictor.from_config(**model, device="cpu").raw(NOTHING)) == 0
    found = Model(done.path, threads=1)(NOTHING)
    assert found.masks.shape == (0, *NOTHING.shape[:2]) and found.masks.dtype == bool
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,)


@pytest.mark.slow
def test_a_program_of_one_size_without_suppression(files, pictures, tmp_path):
    request = ExportRequest(
        **files("SOLOv2"),
        output=tmp_path,
        format="torch_export",
        size=(128, 160),
        post="raw",
        images=pictures,
    )
    done = export_model(request)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt2", "model.pt2.json"]
    assert done.agreement.instances > 20
    metadata = read_program(done.path)[1]
    assert metadata == json.loads((tmp_path / "model.pt2.json").read_text())
    assert metadata["input"]["size"] == [128, 160] and metadata["outputs"][-1] == "probabilities"


@pytest.mark.slow
def test_what_differs_is_not_called_a_model(files, tmp_path, monkeypatch):
    # A file that was made from other weights.
    other = files("SOLOv2")
    write = TorchExportFormat.write

    def write_another(self, program, *arguments):
        # 0.05 more on each probability's logit.
        name = next(name for name in program.state_dict if name.endswith("category_predictor.bias"))
        program.state_dict[name] = nn.Parameter(program.state_dict[name] + 0.05)
        return write(self, program, *arguments)

    monkeypatch.setattr(TorchExportFormat, "write", write_another)
    cv2.imwrite(str(tmp_path / "a.png"), PICTURES[0])
    request = ExportRequest(
        **other, output=tmp_path / "out", format="torch_export", images=[tmp_path / "a.png"]
    )
    with pytest.raises(ValueError, match=r"differs: .* missing, class .* stays as .*unchecked"):
        export_model(request)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.unchecked.pt2"]


@pytest.mark.parametrize("file_format", [TorchExportFormat(), OnnxFormat()], ids=lambda f: f.name)
def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, file_format, file_size_limit):
    path = tmp_path / f"model{file_format.suffixes[0]}"
    program = torch.export.export(nn.Linear(100, 100), (torch.zeros(1, 100),))
    with file_size_limit(20_000), pytest.raises(OSError, match=r"/model\.\w+ cannot .* \(File too"):
        file_format.write(program, path, {"outputs": ["y"]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_full_disk_leaves_an_earlier_export(files, tmp_path, monkeypatch, file_size_limit):
    names = ("model.pt2", "model.pt2.json", "solo_runtime.py")
    for name in names:
        (tmp_path / name).write_text("earlier")
    # A file that is larger than the model: what comes after it cannot be written.
    monkeypatch.setattr(TorchExportFormat, "companions", {"solo_runtime.py": tmp_path / "large"})
    (tmp_path / "large").write_bytes(bytes(5_000_000))
    cv2.imwrite(str(tmp_path / "a.png"), PICTURES[0])
    request = ExportRequest(
        **files("SOLOv2"), output=tmp_path, format="torch_export", images=[tmp_path / "a.png"]
    )
    with file_size_limit(4_900_000), pytest.raises(OSError, match=r"cannot be written \(File too"):
        export_model(request)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "large", *names]
    assert {(tmp_path / name).read_text() for name in names} == {"earlier"}


def test_missing_packages_are_named(files, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name)
    )
    with pytest.raises(ValueError, match="ONNX needs onnxscript: run `pip install onnxscript`"):
        export_model(ExportRequest(**files("SOLOv2"), output=tmp_path))
    assert not list(tmp_path.iterdir())


def test_other_words_are_refused(tmp_path):
    model = {"config_file": "c.yaml", "weights": "w.pth", "output": tmp_path}
    with pytest.raises(
        ValueError, match="--format is 'tflite'; use one of onnx, openvino, torch_export"
    ):
        ExportRequest(**model, format="tflite")
    with pytest.raises(ValueError, match="--post is 'greedy'; use one of nms, raw"):
        ExportRequest(**model, post="greedy")


@pytest.fixture
def no_tracing(monkeypatch):
    """What is refused is refused before the model is traced."""
    monkeypatch.setattr("solo.export.export.trace", None)


@pytest.mark.usefixtures("no_tracing")
def test_test_time_augmentation_is_refused(files, tmp_path):
    opts = ["TEST.AUG.ENABLED", "True"]
    with pytest.raises(ValueError, match=r"one view .*: add TEST\.AUG\.ENABLED False"):
        export_model(ExportRequest(**files("SOLOv2"), output=tmp_path, opts=opts))


@pytest.mark.usefixtures("no_tracing")
def test_an_output_that_is_a_file_is_refused(files, tmp_path):
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(ValueError, match=r"--output .*/file is a file; name a folder"):
            export_model(ExportRequest(**files("SOLOv2"), output=output))


@pytest.mark.usefixtures("no_tracing")
def test_images_smaller_than_the_program_takes_are_refused(files, pictures, tmp_path):
    opts = ["INPUT.MIN_SIZE_TEST", "0"]
    request = ExportRequest(
        **files("SOLOv2"), output=tmp_path, format="torch_export", images=pictures, opts=opts
    )
    # The second image is 75 x 50 pixels, and the divisor 32.
    with pytest.raises(ValueError, match=r"1\.png: becomes 96 x 64 .* 96 x 96 at least"):
        export_model(request)
