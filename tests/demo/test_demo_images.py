"""The demo on images: what it writes, and every way in which an input or output can be wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image

from solo.demo import runner
from solo.inference import Predictor

DEMO = Path(__file__).resolve().parents[2] / "demo"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_image_to_one_file(run, photo, tmp_path, capsys, make_picture):
    assert run("--input", photo(), "--output", tmp_path / "out.png") == 0
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn.shape == (40, 60, 3)
    assert (drawn != make_picture()).any()
    assert capsys.readouterr().out == "1 image done.\n"


def test_16_bits_are_seen_as_8(run, photo, tmp_path):
    gray = cv2.imread(str(photo(blobs=3)), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "deep.png"), gray.astype(np.uint16) * 256)
    options = ("--confidence-threshold", 0.1, "--json", tmp_path / "found.json")
    assert run("--input", tmp_path / "deep.png", "--output", tmp_path / "out", *options) == 0
    assert len(json.loads((tmp_path / "found.json").read_text())) == 3


def test_json_holds_what_is_drawn(run, photo, tmp_path, make_picture):
    path = photo(blobs=3)
    # Scores are 1, 1/2 and 1/3.
    options = ("--confidence-threshold", 0.4, "--json", tmp_path / "new" / "found.json")
    assert run("--input", path, "--output", tmp_path / "out", *options) == 0
    records = json.loads((tmp_path / "new" / "found.json").read_text())
    assert [record["score"] for record in records] == [1.0, 0.5]
    record = records[1]
    assert record["file_name"] == str(path)
    assert (record["category_id"], record["category_name"]) == (1, "one")
    assert record["bbox"] == [20, 10, 10, 10]
    mask = mask_util.decode(record["segmentation"])
    expected = np.zeros((40, 60), dtype=np.uint8)
    expected[10:20, 20:30] = 1
    np.testing.assert_array_equal(mask, expected)
    # Where there is no label, a mask's filling is all that differs from the image.
    drawn = cv2.imread(str(tmp_path / "out" / "a.png"))
    assert (drawn[13:17, 23:27] != make_picture(3)[13:17, 23:27]).any(axis=2).all()
    assert (drawn[13:17, 38:42] == make_picture(3)[13:17, 38:42]).all()


def test_large_images_in_tiles(run, tmp_path, monkeypatch):
    picture = np.full((40, 200, 3), 20, dtype=np.uint8)
    for left in (5, 60, 150):
        picture[10:20, left : left + 10] = 200
    assert cv2.imwrite(str(tmp_path / "a.png"), picture)
    widths = []
    monkeypatch.setattr(cv2, "connectedComponents", spy(cv2.connectedComponents, widths))
    for options, largest in (((), 200), (("--tiles", 64), 64)):
        widths.clear()
        assert run("--input", "a.png", "--json", "a.json", *options) == 0
        records = json.loads((tmp_path / "a.json").read_text())
        assert sorted(record["bbox"][0] for record in records) == [5, 60, 150]
        assert max(widths) == largest


def test_tiles_take_images_of_more_pixels(run, photo, tmp_path, capsys):
    few = ("--opts", "INPUT.MAX_PIXELS", "100")
    assert run("--input", photo(), "--output", "out.png", *few) == 1
    assert "a.png: cannot be read as an image (it has more pixels than" in capsys.readouterr().err
    assert run("--input", photo(), "--output", "out.png", "--tiles", "64", *few) == 0


def spy(function, widths):
    def spied(picture):
        widths.append(picture.shape[1])
        return function(picture)

    return spied


def test_a_folder_with_a_broken_image(run, photo, tmp_path, capsys):
    photo("photos/a.png")
    (tmp_path / "photos" / "b.jpg").write_bytes(b"\xff\xd8\xff not an image")
    (tmp_path / "photos" / "notes.txt").write_text("not looked at")
    (tmp_path / "photos" / ".c.0123abcd.partial.png").write_text("being written")
    photo("photos/c.png")
    options = ("--output", tmp_path / "out", "--json", tmp_path / "found.json")
    assert run("--input", tmp_path / "photos", *options) == 1
    assert names(tmp_path / "out") == ["a.png", "c.png"]
    assert len(json.loads((tmp_path / "found.json").read_text())) == 2
    captured = capsys.readouterr()
    assert "b.jpg: cannot be read as an image" in captured.err
    assert captured.out == "2 images done, 1 failed.\n"


def test_each_bad_input_counts_and_the_good_one_is_done(run, photo, video, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    bad = ("missing.png", "empty", "*.bmp", video(), "notes.txt")
    assert run("--input", *bad, photo(), "--output", tmp_path / "out") == len(bad)
    errors = capsys.readouterr().err
    for words in (
        "missing.png: no such file",
        "empty: a folder without images",
        "*.bmp: no image matches",
        "give it with --video",
        "notes.txt: cannot be read as an image",
    ):
        assert words in errors
    assert names(tmp_path / "out") == ["a.png"]


def test_the_status_is_at_most_100(run, tmp_path):
    missing = [f"{index}.png" for index in range(300)]
    assert run("--input", *missing, "--output", tmp_path / "out") == 100


def test_globs_and_brackets(run, photo, tmp_path):
    for name in ("p/x/a.png", "p/y/b.png", "p/c.png", "q/img[1].png"):
        photo(name)
    # An image that two arguments lead to is done once.
    inputs = ("p/**/*.png", "q/img[1].png", "p/c.png", tmp_path / "p" / "c.png")
    assert run("--input", *inputs, "--output", tmp_path / "out") == 0
    assert names(tmp_path / "out") == ["a.png", "b.png", "c.png", "img[1].png"]


def test_same_names_do_not_overwrite_each_other(run, photo, tmp_path):
    for name in ("p/x/a.png", "p/y/a.png", "q/x/a.png", "q/x_a.png", "q/A.PNG"):
        photo(name)
    inputs = ("p/x", "p/y", "q/x", "q")
    assert run("--input", *inputs, "--output", tmp_path / "out") == 0
    expected = ["q_A.PNG", "x_a.png", "x_a_2.png", "x_a_3.png", "y_a.png"]
    assert names(tmp_path / "out") == expected


def test_images_that_cannot_be_written_in_their_format_become_png(run, tmp_path, make_picture):
    Image.fromarray(make_picture()).save(tmp_path / "a.gif")
    assert run("--input", "a.gif", "--output", "out") == 0
    assert names(tmp_path / "out") == ["a.gif.png"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_images_of_all_kinds(run, tmp_path, mode, make_picture):
    name = "a.tif"
    image = Image.fromarray(make_picture()[:, :, 0])
    if mode == "I;16":
        Image.fromarray(make_picture()[:, :, 0].astype(np.uint16) * 257).save(tmp_path / name)
    else:
        image.convert("RGB").convert(mode).save(tmp_path / name)
    assert run("--input", name, "--output", "out.png") == 0
    assert cv2.imread(str(tmp_path / "out.png")).shape == (40, 60, 3)


def test_exif_orientation_is_honoured(run, tmp_path, make_picture):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    Image.fromarray(make_picture()).save(tmp_path / "a.jpg", exif=exif)
    assert run("--input", "a.jpg", "--output", "out.png", "--json", "found.json") == 0
    assert cv2.imread(str(tmp_path / "out.png")).shape == (60, 40, 3)
    record = json.loads((tmp_path / "found.json").read_text())[0]
    assert record["segmentation"]["size"] == [60, 40]


def test_an_input_is_never_overwritten(run, photo, capsys):
    path = photo()
    before = path.read_bytes()
    assert run("--input", path, "--output", path.parent) == 1
    assert run("--input", path, "--output", path) == 1
    assert run("--input", path, "--json", path) == 1
    link = path.with_name("link.png")
    link.symlink_to(path)
    assert run("--input", path, "--output", link) == 1
    assert path.read_bytes() == before
    assert capsys.readouterr().err.count("is an input, and is not overwritten") == 4


def test_outputs_that_cannot_be_written(run, photo, tmp_path, monkeypatch, capsys):
    path = photo()
    (tmp_path / "file").write_text("")
    assert run("--input", path, "--output", "file/out") == 1
    assert run("--input", path, "--json", "file/found.json") == 1
    (tmp_path / "folder.json").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "from_config", None)  # told before the work
        assert run("--input", path, "--json", "folder.json") == 1
    told = capsys.readouterr().err
    assert told.count("cannot be written to") == 2
    assert "--json folder.json is a folder: name a file." in told
    # One picture cannot be written; the other is.
    photo("photos/b.png")
    (tmp_path / "out" / "b.png").mkdir(parents=True)
    assert run("--input", "photos", "--output", "out") == 1
    assert (tmp_path / "out" / "a.png").is_file()
    assert names(tmp_path / "out") == ["a.png", "b.png"]


def test_several_images_need_a_folder(run, photo, capsys):
    inputs = (photo("a.png"), photo("b.png"))
    assert run("--input", *inputs, "--output", "out.png") == 1
    assert "name a folder" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_finished(run, photo, tmp_path, monkeypatch, capsys, make_picture):
    for name in "abc":
        photo(f"photos/{name}.png")

    def read(path, max_pixels):
        if path.name == "c.png":
            raise KeyboardInterrupt
        return make_picture()

    monkeypatch.setattr(runner, "read_picture", read)
    assert run("--input", "photos", "--output", "out", "--json", "found.json") == 130
    assert names(tmp_path / "out") == ["a.png", "b.png"]
    assert len(json.loads((tmp_path / "found.json").read_text())) == 2
    assert capsys.readouterr().out == "2 images done, stopped before the end.\n"


def test_wrong_model_arguments(demo, model, photo, tmp_path, capsys):
    path = str(photo())
    config = model[:2]
    cases = (
        ([*config], "MODEL.WEIGHTS is empty"),
        ([*config, "--weights", "missing.pth"], "missing.pth"),
        (["--config-file", "missing.yaml"], "missing.yaml"),
        ([*model, "--opts", "MODEL.NO_SUCH_KEY", "1"], "NO_SUCH_KEY"),
        ([*model[:4], "--opts", "INPUT.FORMAT", "L"], "INPUT.FORMAT"),
    )
    for arguments, words in cases:
        outputs = ["--output", str(tmp_path / "out"), "--json", str(tmp_path / "found.json")]
        assert demo.main([*arguments, "--input", path, *outputs]) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "found.json").exists()


def test_wrong_command_lines(run, photo, capsys):
    path = photo()
    for arguments in (
        ("--input", path),
        ("--output", "out"),
        ("--input", path, "--video", "a.mp4", "--output", "out"),
        ("--input", path, "--output", "out", "--confidence-threshold", "30"),
        ("--input", path, "--output", "out", "--opts", "A"),
        ("--input", path, "--output", "same", "--json", "same"),
    ):
        with pytest.raises(SystemExit) as stopped:
            run(*arguments)
        assert stopped.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run("--help")
    assert "example:\n  python demo/demo.py" in capsys.readouterr().out


def test_as_a_program_with_a_random_model(photo, tmp_path, tiny_cfg):
    """The real thing, with weights that were never trained, from another folder."""
    cfg = tiny_cfg
    cfg.DATASETS.TRAIN = ()
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 64, 96
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    cfg.TEST.DETECTIONS_PER_IMAGE = 5
    config, weights = tmp_path / "config.yaml", tmp_path / "model.pth"
    config.write_text(cfg.dump())
    torch.manual_seed(0)
    names_of_classes = ["zero", "one", "two"]
    state = {"model": build_model(cfg).state_dict(), "class_names": names_of_classes}
    torch.save(state, weights)

    command = [sys.executable, DEMO / "demo.py", "--config-file", config, "--weights", weights]
    outputs = ["--output", tmp_path / "out", "--json", tmp_path / "found.json"]
    options = ["--device", "cpu", "--confidence-threshold", "0", "--opts"]
    result = subprocess.run(
        [*command, "--input", photo(), "missing", *outputs, *options, "SEED", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{DEMO.parent}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1, result.stderr
    assert result.stdout == "1 image done, 1 failed.\n"
    assert names(tmp_path / "out") == ["a.png"]
    records = json.loads((tmp_path / "found.json").read_text())
    assert 1 < len(records) <= 5  # some of which may be of one object
    for record in records:
        assert mask_util.decode(record["segmentation"]).shape == (40, 60)
        assert record["category_name"] in names_of_classes


def test_a_full_disk_is_told_by_the_name_of_the_list(run, photo, tmp_path, capsys, file_size_limit):
    paths = [photo(f"photos/{number}.png", blobs=3) for number in range(12)]
    (tmp_path / "found.json").write_text("earlier")
    with file_size_limit(4096):
        assert run("--input", *paths, "--json", "found.json") == 1
    captured = capsys.readouterr()
    assert "12 images done, 1 failed" in captured.out
    assert "error: found.json cannot be written (File too large); what was" in captured.err
    assert "Traceback" not in captured.err
    assert (tmp_path / "found.json").read_text() == "earlier"
