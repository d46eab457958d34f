"""`solo predict`: which words are what, where all goes, and what is said of it; the rest is in tests/demo."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import pytest

from solo.cli import predict
from solo.cli._parser import build_parser
from solo.demo.job import describe_found
from solo.demo.runner import Options, Runner
from solo.inference import Predictor
from solo.model_zoo import DEFAULT_MODEL
from solo.visualization.video import VideoSource

ROOT = Path(__file__).parents[2]


class OnePixel:
    """Stands for a model whose evaluation is known."""

    class_names, category_ids = ("one",), (0,)
    threshold, origin = 0.42, ("a.onnx", "cpu")


def read_options(*words):
    parser = build_parser("solo predict", predict.__doc__)
    predict.add_arguments(parser)
    return predict.read_options(parser.parse(words), [])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stopped_with(solo, capsys, *words):
    """Return what is said of a command line that is wrong."""
    with pytest.raises(SystemExit) as stopped:
        solo("predict", *words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_photo_alone(solo, model, photo, tmp_path, capsys):
    photo("a.png", blobs=3)
    assert solo("predict", "a.png", *model) == 0
    assert names(tmp_path / "predictions") == ["a.png", "instances.json"]
    records = json.loads((tmp_path / "predictions/instances.json").read_text())
    assert [record["score"] for record in records] == [1, 0.5, 0.33333]
    assert capsys.readouterr().out == (
        "1 image done.\n"
        "model: config (model.pth, cpu)\n"
        "threshold 0.3: the model has no evaluation of its own\n"
        "found: 3 objects (3 one)\n"
        "written: picture predictions/a.png\n"
        "written: 3 instances in predictions/instances.json\n"
    )


def test_images_and_videos_and_what_is_neither(solo, model, photo, video, tmp_path, capsys):
    photo("photos/a.png")
    photo("photos/b.png")
    (tmp_path / "photos/c.jpg").write_bytes(b"broken")
    video("one.mp4")
    video("two.AVI.mp4")
    (tmp_path / "text.mov").write_text("no video")
    words = ("text.mov", "*.mp4", "photos", "phots/a.png", "https://a.b/c.jpg")
    # Keys come last; in tiles of 50 pixels it is the same.
    assert solo("predict", *words, *model, "--tiles", 50, "INPUT.MAX_PIXELS", 9000) == 4
    drawn = tmp_path / "predictions"
    assert names(drawn) == ["a.png", "b.png", "instances.json", "one.mp4", "two.AVI.mp4"]
    for name in ("one.mp4", "two.AVI.mp4"):
        with VideoSource(drawn / name) as frames:
            assert len(list(frames)) == 5
    records = json.loads((drawn / "instances.json").read_text())
    assert len([record for record in records if "frame" in record]) == 2 * 5 * 2
    told = capsys.readouterr()
    summary, *found, first, second, third, last = told.out.splitlines()
    assert summary.startswith("2 images done, 10 frames in ") and summary.endswith(", 4 failed.")
    # Of videos each object once, two in each.
    assert found[2] == "found: 6 objects (6 one)" and len(found) == 3
    assert [first, second, third, last] == [
        "written: 2 pictures in predictions",
        "written: video predictions/one.mp4",
        "written: video predictions/two.AVI.mp4",
        f"written: {len(records)} instances in predictions/instances.json",
    ]
    for sentence in (
        "error: text.mov: cannot be read as a video.",
        "error: photos/c.jpg: cannot be read as an image",
        "error: phots/a.png: no such file or folder; did you mean photos?",
        "error: https://a.b/c.jpg: an address; download it, and give the file.",
    ):
        assert sentence in told.err


def test_videos_of_one_name_do_not_overwrite_each_other(solo, model, video, tmp_path):
    (tmp_path / "x").mkdir()
    video("a.mp4")
    video("x/a.mp4").rename(tmp_path / "x" / "a.avi")
    assert solo("predict", "a.mp4", "x/a.avi", "--output", "out", *model) == 0
    assert names(tmp_path / "out") == [f"{tmp_path.name}_a.mp4", "x_a.mp4"]


def test_the_second_time_the_same_files_are_read(solo, model, photo, tmp_path):
    photo("x/a.png")
    for _ in range(2):
        assert solo("predict", "**/*.png", *model) == 0
        assert names(tmp_path / "predictions") == ["a.png", "instances.json"]
    # Where it is asked for, what is drawn is an input as any other.
    assert solo("predict", "predictions/**/*.png", *model, "--output", "again") == 0
    assert names(tmp_path / "again") == ["a.png"]
    assert solo("predict", "predictions/**/*.png", *model) == 1


def test_a_word_like_a_key_is_a_file_where_there_is_one(solo, model, photo, tmp_path):
    photo("a.png").rename(tmp_path / "SEED")
    assert solo("predict", "SEED", *model, "INPUT.MAX_PIXELS", 9000) == 0
    assert names(tmp_path / "predictions") == ["SEED.png", "instances.json"]
    assert solo("predict", "SEED", *model, "INPUT.MAX_PIXELS", 100) == 1


def test_outputs_that_are_asked_for_are_the_only_ones(solo, model, photo, tmp_path):
    photo("a.png", blobs=3)
    words = ("predict", "a.png", *model, "--threshold", 0.4)
    assert solo(*words, "--json", "found.json") == solo(*words, "--output", "drawn.jpg") == 0
    assert names(tmp_path) == ["a.png", "drawn.jpg", "found.json", "model"]
    assert len(json.loads((tmp_path / "found.json").read_text())) == 2


def test_several_inputs_need_a_folder(solo, model, photo, video, capsys):
    photo("a.png")
    video("b.mp4")
    assert solo("predict", "a.png", "b.mp4", *model, "--output", "out.mp4") == 1
    assert "--output out.mp4 names one file, and there are 2 inputs" in capsys.readouterr().err
    assert solo("predict", "a.png", *model, "--output", "out.mp4") == 1
    assert "--output out.mp4: of an image it is a picture" in capsys.readouterr().err


def test_a_model_that_cannot_be_built_is_told_once(solo, video, capsys):
    video("a.mp4")
    video("b.mp4")
    assert solo("predict", "a.mp4", "b.mp4", "--config", "missing.yaml") == 1
    told = capsys.readouterr()
    assert told.err.count("error: ") == 1 and "missing.yaml" in told.err
    assert told.out == "0 frames done, 1 failed.\n"


def test_ctrl_c_says_what_is_done(solo, model, photo, video, tmp_path, monkeypatch, capsys):
    photo("a.png")
    video("b.mp4")
    draw, seen = Predictor.draw, []

    def draw_or_stop(*args, **kwargs):
        seen.append(None)
        if len(seen) > 3:
            raise KeyboardInterrupt
        return draw(*args, **kwargs)

    monkeypatch.setattr(Predictor, "draw", draw_or_stop)
    assert solo("predict", "a.png", "b.mp4", "b.mp4", *model) == 130
    assert names(tmp_path / "predictions") == ["a.png", "b.mp4", "instances.json"]
    told = capsys.readouterr().out
    assert "1 image done, 2 frames in " in told and "stopped before the end.\n" in told
    assert "written: video predictions/b.mp4\n" in told


def test_a_key_in_the_window_ends_all(solo, model, photo, video, monkeypatch, capsys):
    photo("a.png")
    video("b.mp4")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", lambda *_: None)
    monkeypatch.setattr(cv2, "waitKey", lambda wait: ord("q"))
    assert solo("predict", "a.png", "b.mp4", *model, "--show") == 0
    assert capsys.readouterr().out.startswith("1 image done, 0 frames done.\nmodel: ")


def test_a_camera(solo, model, video, tmp_path, monkeypatch, capsys):
    path, capture, asked = video(), cv2.VideoCapture, []

    def open_file(source):
        asked.append(source)
        return capture(str(path) if isinstance(source, int) else source)

    monkeypatch.setattr(cv2, "VideoCapture", open_file)
    assert solo("predict", "--webcam", 1, *model) == 0
    # What follows it may be a key.
    assert solo("predict", *model, "--json", "a.json", "--webcam", "INPUT.MAX_PIXELS", 9000) == 0
    assert [source for source in asked if isinstance(source, int)] == [1, 0]
    assert names(tmp_path / "predictions") == ["instances.json", "webcam.mp4"]
    assert "give files or --webcam" in stopped_with(solo, capsys, "--webcam", "clip.mp4")


def test_where_nothing_is_looked_at_an_earlier_list_stays(solo, model, photo, tmp_path, capsys):
    photo("a.png")
    (tmp_path / "labels.json").write_text("{}")
    assert solo("predict", "a.png", *model) == 0
    listed = (tmp_path / "predictions/instances.json").read_text()
    capsys.readouterr()
    assert solo("predict", "labels.json", *model) == 1
    assert (tmp_path / "predictions/instances.json").read_text() == listed
    told = capsys.readouterr()
    assert told.out == "0 images done, 1 failed.\n"
    assert "error: labels.json: cannot be read as an image" in told.err
    # An image without an object is something else.
    photo("b.png", blobs=0)
    assert solo("predict", "b.png", *model) == 0
    assert (tmp_path / "predictions/instances.json").read_text() == "[]"
    assert "found: 0 objects\n" in capsys.readouterr().out


def test_of_many_classes_the_most_frequent_are_told():
    done = Runner(Options(name="cats"))
    done.predictor, done.num_images = Predictor(OnePixel()), 1
    done.objects = Counter({f"class {number}": 20 - number for number in range(13)})
    model, threshold, found = describe_found(done)
    assert model == "model: cats (a.onnx, cpu)" and threshold.startswith("threshold 0.42, of")
    assert found.startswith("found: 182 objects (20 class 0, 19 class 1, ")
    assert found.endswith(", 11 class 9, 27 of 3 other classes)")


def test_the_default_model():
    options = read_options("a.png")
    assert (options.config_file, options.weights) == (DEFAULT_MODEL, f"solo://{DEFAULT_MODEL}")
    assert options.threshold is None and options.tiles is None and not options.onnx


@pytest.mark.parametrize("flag", ["--onnx", "--model"])
def test_an_exported_model(flag):
    assert read_options("a.png", flag, "a.onnx").onnx == "a.onnx"


def test_wrong_command_lines(solo, model, capsys, monkeypatch):
    monkeypatch.setattr(Predictor, "from_config", None)  # not called
    for words, sentence in (
        ((), "name images, folders or videos, as in: solo predict photo.jpg"),
        (("a.png", "--threshold", "30"), "'30' is no score: give 0 to 1"),
        (("a.png", "--output", "same", "--json", "same"), "name the same file"),
        (("a.png", "--json", "same", "--mot", "there/../same"), "name the same file"),
        (("a.png", "--onnx", "a.onnx", "SEED", "1"), "leave out"),
        (("a.png", *model, "SEED"), "'SEED' is alone"),
        (("a.png", "--outptu", "out"), "did you mean --output?"),
    ):
        assert sentence in stopped_with(solo, capsys, *words)


def test_help_is_quick():
    code = (
        "import sys; sys.argv[0] = 'solo'\n"
        "from solo.cli.main import main\n"
        "try: main(['predict', '--help'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    # From the checkout, which may not be the solo that is installed.
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "example: solo predict photo.jpg" in done.stdout
    assert not {"torch", "cv2", "PIL", "numpy"} & set(done.stdout.split())
