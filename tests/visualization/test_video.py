"""Frames in, frames out."""

import cv2
import numpy as np
import pytest

from solo.visualization.video import VideoSink, VideoSource


def write(path, num_frames, size=(48, 64), fps=12.0):
    with VideoSink(path, fps) as sink:
        for index in range(num_frames):
            sink.write(np.full((*size, 3), 20 * index, dtype=np.uint8))


@pytest.mark.parametrize("size", [(48, 64), (47, 65)])
def test_round_trip(tmp_path, size):
    write(tmp_path / "a.mp4", 7, size)
    with VideoSource(tmp_path / "a.mp4") as video:
        frames = list(video)
    assert (video.fps, video.num_frames, len(frames)) == (12.0, 7, 7)
    assert frames[0].shape == (48, 64 + 2 * (size[1] == 65), 3)
    # The codec is lossy; the gray levels are 20 apart.
    np.testing.assert_allclose([frame.mean() for frame in frames], 20 * np.arange(7), atol=6)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_broken_off_video_is_complete(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "a.mp4", 10) as sink:
        for _ in range(3):
            sink.write(np.zeros((16, 16, 3), dtype=np.uint8))
        raise KeyboardInterrupt
    with VideoSource(tmp_path / "a.mp4") as video:
        assert len(list(video)) == 3


def test_without_frames_an_earlier_video_stays(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"earlier")
    with VideoSink(path, 10):
        pass
    assert path.read_bytes() == b"earlier"


def test_a_change_of_size_drops_no_frame(tmp_path):
    with VideoSink(tmp_path / "a.mp4", 10) as sink:
        sink.write(np.zeros((32, 32, 3), dtype=np.uint8))
        sink.write(np.zeros((64, 48, 3), dtype=np.uint8))
    with VideoSource(tmp_path / "a.mp4") as video:
        assert len(list(video)) == 2


def test_what_is_no_video_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such video file"):
        VideoSource(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match="cannot be read as a video"):
        VideoSource(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match="camera 93: cannot be opened"):
        VideoSource(93)
    with pytest.raises(ValueError, match=r"ends in \.mp4"):
        VideoSink(tmp_path / "a.avi", 10)
    sink = VideoSink(tmp_path / "no" / "folder" / "a.mp4", 10)
    with pytest.raises(OSError, match="cannot write a video"):
        sink.write(np.zeros((16, 16, 3), dtype=np.uint8))


def test_a_file_without_a_frame_rate_gets_a_default(tmp_path, monkeypatch):
    write(tmp_path / "a.mp4", 1)

    class NoRate:
        def __init__(self, name):
            pass

        def isOpened(self):  # noqa: N802  (OpenCV's name)
            return True

        def get(self, key):
            return float("nan")

    monkeypatch.setattr(cv2, "VideoCapture", NoRate)
    video = VideoSource(tmp_path / "a.mp4")
    assert (video.fps, video.num_frames) == (25.0, 0)
