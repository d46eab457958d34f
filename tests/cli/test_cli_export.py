"""The command that exports: what it asks for, and what it says when that cannot be done."""

import json
from pathlib import Path

import pytest

from solo.cli.main import main
from solo.export import export
from solo.export.check import Agreement
from solo.export.export import Exported


@pytest.fixture
def requests(monkeypatch):
    """Return the requests that are made instead of exporting."""
    made = []

    def record(request):
        made.append(request)
        agreement = Agreement(images=8, instances=40, score_error=2e-6, mask_error=1)
        return Exported(request.output / "model.onnx", agreement)

    monkeypatch.setattr(export, "export_model", record)
    return made


MODEL = ["--config-file", "c.yaml", "--weights", "w.pth", "--output", "out"]


def test_the_numbers_are_told(requests, capsys):
    main(["export", *MODEL, "SEED", "3"])
    (request,) = requests
    assert request.output == Path("out") and request.opts == ["SEED", "3"]
    assert (request.format, request.post, request.size, request.images) == ("onnx", "nms", None, [])
    said = capsys.readouterr().out
    assert said.startswith("40 instances on 8 images, 0 missing")
    assert said.endswith("\nwritten: out/model.onnx\n")
    assert "2.0e-06" in said


def test_every_option_arrives(requests):
    more = ["--format", "torch_export", "--post", "raw", "--size", "800x1344", "--images", "a", "b"]
    main(["export", *MODEL, *more])
    (request,) = requests
    assert (request.format, request.post, request.size) == ("torch_export", "raw", (800, 1344))
    assert list(request.images) == ["a", "b"]
    main(["export", *MODEL, "--dynamic"])
    assert requests[1].size is None


@pytest.mark.parametrize("more", [["--size", "800"], ["--size", "64x64", "--dynamic"]])
def test_a_size_is_height_and_width(requests, more, capsys):
    with pytest.raises(SystemExit):
        main(["export", *MODEL, *more])
    assert "--size" in capsys.readouterr().err and not requests


def test_an_exported_file_is_not_exported(requests, capsys):
    with pytest.raises(SystemExit):
        main(["export", "--model", "a.onnx", "--output", "out"])
    assert "--model a.onnx is exported already: name the run" in capsys.readouterr().err
    assert not requests


def test_weights_may_be_a_key(requests):
    name = "coco/solov2_R_50_FPN_1x"
    main(["export", "--config", name, "--output", "out", "MODEL.WEIGHTS", "w.pth"])
    assert requests[0].opts == ["MODEL.WEIGHTS", "w.pth"]


def test_errors_are_one_sentence(tmp_path):
    (tmp_path / "c.yaml").write_text("VERSION: 2\n")
    model = ["--config-file", str(tmp_path / "c.yaml"), "--output", str(tmp_path / "out")]
    arguments = [*model, "--weights", str(tmp_path / "none.pth"), "--format", "torch_export"]
    with pytest.raises(SystemExit, match=r"error: .*none\.png"):
        main(["export", *arguments, "--images", str(tmp_path / "none.png")])
    with pytest.raises(SystemExit, match=r"error: "):
        main(["export", *arguments])
    assert not (tmp_path / "out").exists()


def test_int8_has_flags_of_its_own(requests, tmp_path, capsys):
    main(["export", *MODEL, "--format", "openvino", "--int8", "--num-images", "5"])
    assert requests[0].format == "openvino" and requests[0].int8.num_images == 5
    assert (requests[0].int8.calibrate_on, requests[0].int8.max_drop) == ((), 1.0)
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
        (tmp_path / part / f"{part}.png").touch()
        image = {"id": 1, "file_name": f"{part}.png", "height": 4, "width": 4}
        content = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
    main(["export", *MODEL, "--int8", "--data", str(tmp_path), "--max-drop", "2.5"])
    int8 = requests[1].int8
    assert [Path(name).name for name in int8.calibrate_on] == ["train.json"]
    assert Path(int8.compare_on).name == "val.json" and int8.max_drop == 2.5
    with pytest.raises(SystemExit):
        main(["export", *MODEL, "--max-drop", "2"])
    assert "go with --int8" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="--num-images 0: ask for 1 at least"):
        main(["export", *MODEL, "--int8", "--num-images", "0"])
    assert len(requests) == 2


def test_ap_on_the_images_of_the_calibration_is_told(requests, tmp_path, caplog):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").touch()
    image = {"id": 1, "file_name": "a.png", "height": 4, "width": 4}
    content = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    (tmp_path / "images.json").write_text(json.dumps(content))
    main(["export", *MODEL, "--int8", "--data", str(tmp_path)])
    assert (requests[0].int8.compare_on,) == requests[0].int8.calibrate_on
    assert "has no val part: the AP is compared on the images" in caplog.text


def test_shapes_move_or_are_fixed(requests, capsys):
    with pytest.raises(SystemExit):
        main(["export", *MODEL, "--static", "--dynamic"])
    assert "--dynamic or --static" in capsys.readouterr().err and not requests
