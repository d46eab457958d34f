"""The demo on videos and cameras."""

import json

import cv2
import pytest

from solo.visualization.video import VideoSource


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
    assert records[0]["file_name"] == str(path)
    assert capsys.readouterr().out == "5 frames done.\n"


def test_to_a_file(run, video, tmp_path):
    assert run("--video", video(), "--output", tmp_path / "new" / "drawn.mp4") == 0
    assert count_frames(tmp_path / "new" / "drawn.mp4") == 5


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
        (("--webcam", "93", "--output", "out.mp4"), "camera 93: cannot be opened"),
    ],
)
def test_errors(run, video, tmp_path, capsys, arguments, words):
    before = video().read_bytes()
    (tmp_path / "text.mp4").write_text("not a video")
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == "0 frames done, 1 failed.\n"
    assert (tmp_path / "clip.mp4").read_bytes() == before


def test_a_video_without_frames(run, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VideoSource, "__iter__", lambda self: iter(()))
    assert run("--video", video(), "--output", "out", "--json", "found.json") == 1
    assert "a video without frames" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert json.loads((tmp_path / "found.json").read_text()) == []


def stop_after(monkeypatch, count, error):
    import runner

    draw, seen = runner.draw_instances, []

    def draw_or_stop(*args, **kwargs):
        if len(seen) == count:
            raise error
        seen.append(None)
        return draw(*args, **kwargs)

    monkeypatch.setattr(runner, "draw_instances", draw_or_stop)


def test_ctrl_c_leaves_a_playable_video(run, video, tmp_path, monkeypatch, capsys):
    stop_after(monkeypatch, 3, KeyboardInterrupt())
    assert run("--video", video(), "--output", "out", "--json", "found.json") == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]
    assert count_frames(tmp_path / "out" / "clip.mp4") == 3
    records = json.loads((tmp_path / "found.json").read_text())
    assert {record["frame"] for record in records} == {0, 1, 2}
    assert capsys.readouterr().out == "3 frames done, stopped before the end.\n"


def test_a_failure_midway_keeps_the_frames_before(run, video, tmp_path, monkeypatch):
    stop_after(monkeypatch, 2, RuntimeError("out of memory"))
    assert run("--video", video(), "--output", "out.mp4") == 1
    assert count_frames(tmp_path / "out.mp4") == 2


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
