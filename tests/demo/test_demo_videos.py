"""The demo on videos and cameras."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from solo.inference import Predictor
from solo.visualization.video import VideoSink, VideoSource

# A program that runs the demo on a video of which there is always one more frame.
ENDLESS = """
import runpy, sys
import tests.blobs  # registers the model
from solo.visualization.video import VideoSource
read = VideoSource.__iter__
def read_for_ever(self):
    (frame, *_) = read(self)
    while True:
        yield frame.copy()
VideoSource.__iter__ = read_for_ever
sys.argv = ["demo.py", *{arguments!r}]
runpy.run_path({demo!r} + "/demo.py", run_name="__main__")
"""


def count_frames(path):
    with VideoSource(path) as video:
        return len(list(video))


def test_round_trip(run, video, tmp_path, capsys):
    path = video()
    assert run("--video", path, "--output", "out", "--json", "found.json") == 0
    assert count_frames(tmp_path / "out" / "clip.mp4") == 5
    with VideoSource(tmp_path / "out" / "clip.mp4") as drawn:
        assert drawn.fps == 8
    records = json.loads((tmp_path / "found.json").read_text())
    assert [record["frame"] for record in records] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [record["track_id"] for record in records] == [0, 1] * 5
    assert records[0]["file_name"] == str(path)
    summary = r"5 frames in [\d.]+ s: [\d.]+ frames/s \(model \d+%\)\.\n"
    assert re.fullmatch(summary, capsys.readouterr().out)


def test_to_a_file(run, video, tmp_path):
    assert run("--video", video(), "--output", tmp_path / "new" / "drawn.mp4") == 0
    assert count_frames(tmp_path / "new" / "drawn.mp4") == 5


def test_objects_keep_their_colours(run, tmp_path):
    # The model lists instances from top to bottom: the order changes where the squares pass.
    path = tmp_path / "passing.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 8, (96, 96))
    places = [(4 + 4 * step, 64 - 4 * step) for step in range(16)]  # tops of the left and the right
    for left, right in places:
        frame = np.full((96, 96, 3), 20, dtype=np.uint8)
        frame[left : left + 24, 8:32] = 200
        frame[right : right + 24, 56:80] = 200
        writer.write(frame)
    writer.release()
    assert run("--video", path, "--output", "out.mp4", "--json", "found.json") == 0
    records = json.loads((tmp_path / "found.json").read_text())
    sides = [(record["bbox"][0] > 40, record["track_id"]) for record in records]
    assert set(sides) == {(False, 0), (True, 1)} and sides[0] != sides[-2]
    with VideoSource(tmp_path / "out.mp4") as drawn:
        frames = np.array(list(drawn), dtype=int)
    middles = [
        (frame[left + 12, 20], frame[right + 12, 68])
        for frame, (left, right) in zip(frames, places, strict=True)
    ]
    lefts, rights = np.array(middles).transpose(1, 0, 2)
    assert np.abs(lefts[0] - rights[0]).max() > 40
    assert np.ptp(lefts, axis=0).max() < 25 and np.ptp(rights, axis=0).max() < 25


def write_squares(path, frames):
    """A video of bright squares of 16 pixels at (x, y) in each frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 8, (96, 96))
    for places in frames:
        frame = np.full((96, 96, 3), 20, dtype=np.uint8)
        for x, y in places:
            frame[y : y + 16, x : x + 16] = 200
        writer.write(frame)
    writer.release()


def test_batches_find_the_same(run, tmp_path):
    frames = [[(8 + 4 * step, 8), (64 - 4 * step, 60)] for step in range(8)]
    write_squares(tmp_path / "clip.mp4", frames)
    for size in ("1", "3", "99"):
        arguments = ("--output", f"{size}.mp4", "--json", f"{size}.json", "--batch", size)
        assert run("--video", "clip.mp4", *arguments) == 0
    first, *others = (json.loads((tmp_path / f"{size}.json").read_text()) for size in (1, 3, 99))
    assert len(first) == 16 and others == [first, first]
    with VideoSource(tmp_path / "1.mp4") as one, VideoSource(tmp_path / "3.mp4") as batches:
        np.testing.assert_array_equal(list(one), list(batches))


def test_track_follows_low_scores_and_leaves_out_what_one_frame_shows(run, tmp_path):
    # The model's scores are 1 / rank from top to bottom: below three others the lowest has 0.25.
    lowest, others = (40, 70), [(4, 4), (30, 4), (60, 4)]
    frames = [[lowest], [lowest], [*others, lowest], [*others, lowest], [lowest], [(4, 40), lowest]]
    write_squares(tmp_path / "clip.mp4", frames)
    seen = []
    for arguments in ((), ("--track",)):
        assert run("--video", "clip.mp4", "--json", "found.json", *arguments) == 0
        records = json.loads((tmp_path / "found.json").read_text())
        seen.append([[r["track_id"] for r in records if r["frame"] == k] for k in range(6)])
    assert seen[0] == [[0], [0], [1, 2, 3], [1, 2, 3], [0], [4, 0]]
    assert seen[1] == [[0], [0], [0], [1, 2, 3, 0], [0], [0]]


def test_mot(run, video, tmp_path, photo, capsys):
    assert run("--video", video(), "--mot", "tracks.txt") == 0
    lines = [line.split(",") for line in (tmp_path / "tracks.txt").read_text().splitlines()]
    assert [line[:2] for line in lines] == [[str(f), str(k)] for f in range(1, 6) for k in (1, 2)]
    assert {(len(line), *line[7:]) for line in lines} == {(9, "1", "-1")}
    boxes = np.array([line[2:6] for line in lines], dtype=float)
    expected = [[6, 11, 10, 10], [21, 11, 10, 10]] * 5
    np.testing.assert_allclose(boxes, expected, atol=1)
    # Of images there are no tracks.
    assert run("--input", photo(), "--mot", "none.txt") == 1
    assert "none.txt is of one video, and there are 0" in capsys.readouterr().err
    assert run("--input", photo(), "--json", "found.json", "--track") == 1
    assert "follows objects through a video, and there is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--video", "missing.mp4", "--output", "out"), "no such video file"),
        (("--video", "text.mp4", "--output", "out"), "cannot be read as a video"),
        (("--video", "clip.mp4", "--output", "out.avi"), "ends in .mp4"),
        (("--video", "clip.mp4", "--output", "clip.mp4"), "is an input"),
        (("--video", "clip.mp4", "--output", "."), "is an input"),
        (("--video", "clip.mp4", "--output", "text.mp4/out"), "cannot be written to"),
        (("--video", "clip.mp4", "--json", "clip.mp4"), "is an input"),
        (("--video", "clip.mp4", "--output", "out", "--tiles", "0"), "size of tiles is 0"),
        (("--webcam", "93", "--output", "out.mp4"), "camera 93: cannot be opened"),
        (("--video", "clip.mp4", "--mot", "clip.mp4"), "is an input"),
        (("--video", "clip.mp4", "--mot", "."), "--mot . is a folder"),
        (("--video", "clip.mp4", "--output", "out", "--batch", "0"), "--batch 0: give 1"),
        (("--video", "clip.mp4", "--output", "out", "--track-seconds", "-1"), "seconds -1: give 0"),
    ],
)
def test_errors(run, video, tmp_path, capsys, arguments, words):
    before = video().read_bytes()
    (tmp_path / "text.mp4").write_text("not a video")
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert words in captured.err and "Traceback" not in captured.err
    assert captured.out == "0 frames done, 1 failed.\n"
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_a_video_without_frames(run, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VideoSource, "__iter__", lambda self: iter(()))
    assert run("--video", video(), "--output", "out", "--json", "found.json") == 1
    assert "a video without frames" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "found.json").exists()


def stop_after(monkeypatch, count, error):
    draw, seen = Predictor.draw, []

    def draw_or_stop(*args, **kwargs):
        if len(seen) == count:
            raise error
        seen.append(None)
        return draw(*args, **kwargs)

    monkeypatch.setattr(Predictor, "draw", draw_or_stop)


def test_ctrl_c_leaves_a_playable_video(run, video, tmp_path, monkeypatch, capsys):
    stop_after(monkeypatch, 3, KeyboardInterrupt())
    assert run("--video", video(), "--output", "out", "--json", "found.json") == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]
    assert count_frames(tmp_path / "out" / "clip.mp4") == 3
    records = json.loads((tmp_path / "found.json").read_text())
    assert {record["frame"] for record in records} == {0, 1, 2}
    assert re.fullmatch(r"3 frames in .*, stopped before the end\.\n", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_playable_video(video, model, tmp_path, number):
    tests = Path(__file__).parent
    arguments = [*model, "--video", str(video()), "--output", str(tmp_path / "out")]
    demo = str(tests.parents[1] / "demo")
    program = ENDLESS.format(demo=demo, arguments=arguments)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tests.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and would be by this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        out = tmp_path / "out"
        deadline = time.monotonic() + 120
        # Of some size: frames have come, not only the head of the file.
        while not any(path.stat().st_size >= 4000 for path in out.glob(".clip.*.partial.mp4")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    done = int(re.match(r"(\d+) frames in .*, stopped before the end", output)[1])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]
    # The one that was being written may be in it, too.
    assert 0 <= count_frames(tmp_path / "out" / "clip.mp4") - done <= 1


def test_a_failure_midway_keeps_the_frames_before(run, video, tmp_path, monkeypatch, capsys):
    stop_after(monkeypatch, 2, RuntimeError("out of memory"))
    assert run("--video", video(), "--output", "out.mp4") == 1
    assert count_frames(tmp_path / "out.mp4") == 2
    # It is no mistake of the user.
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_an_error_that_counts_what_is_in_the_file(
    run, video, tmp_path, capsys, file_size_limit
):
    pytest.importorskip("av", minversion="14", reason="the extra `video` is not installed")
    path = tmp_path / "long.mp4"
    noise = np.random.default_rng(0).integers(0, 100, (60, 160, 160, 3), dtype=np.uint8)
    with VideoSink(path, 8) as sink:
        for frame in noise:
            sink.write(frame)
    out = video("out.mp4")
    before = out.read_bytes()
    with file_size_limit(400_000):
        assert run("--video", path, "--output", out) == 1
    assert out.read_bytes() == before
    count = count_frames(tmp_path / "out.partial.mp4")
    assert 0 < count < 60
    captured = capsys.readouterr()
    assert re.match(rf"{count} frames in .*, 1 failed\.\n", captured.out)
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert f"(File too large). The frames until then ({count}) are in {tmp_path}/out.part" in line
    assert "Traceback" not in captured.err


def test_a_camera_runs_until_ctrl_c(run, video, tmp_path, monkeypatch):
    path = video()
    capture = cv2.VideoCapture
    # The camera is a file here; Ctrl-C is how it ends, and no failure.
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "VideoCapture", lambda source: capture(str(path)))
        stop_after(patch, 4, KeyboardInterrupt())
        assert run("--webcam", "--output", "out") == 0
    assert count_frames(tmp_path / "out" / "webcam.mp4") == 4


def test_window(run, video, monkeypatch, capsys):
    monkeypatch.setenv("DISPLAY", ":0")
    pressed = iter([-1, -1, ord("q")])
    shown = []
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(picture.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda wait: next(pressed))
    assert run("--video", video(), "--show") == 0
    assert shown == [(40, 60, 3)] * 3

    def fail(name, picture):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "imshow", fail)
    assert run("--video", video(), "--show") == 1
    assert "there is no screen" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="of the window systems of Linux")
def test_a_missing_screen_is_told_before_the_work(run, video, monkeypatch, capsys, tmp_path):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Predictor, "from_config", None)  # not called
    assert run("--video", video(), "--show", "--output", "out.mp4") == 1
    assert "--show: there is no screen" in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()
