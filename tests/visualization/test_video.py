"""Frames in, frames out."""

import itertools
import shutil
import signal
import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

from solo.visualization import video as video_module
from solo.visualization.video import VideoSink, VideoSource, one_ahead


@pytest.fixture(params=["H.264", "MPEG-4 part 2"])
def codec(request, monkeypatch):
    if request.param == "H.264":
        pytest.importorskip("av", minversion="14", reason="the extra `video` is not installed")
    else:
        monkeypatch.setattr(video_module, "av", None)
    return request.param


def write(path, num_frames, size=(48, 64), fps=12.0):
    with VideoSink(path, fps) as sink:
        for index in range(num_frames):
            sink.write(np.full((*size, 3), 20 * index, dtype=np.uint8))


@pytest.mark.parametrize("size", [(48, 64), (47, 65)])
def test_round_trip(tmp_path, codec, size):
    write(tmp_path / "a.mp4", 7, size)
    with VideoSource(tmp_path / "a.mp4") as video:
        frames = list(video)
    assert (video.fps, video.num_frames, len(frames)) == (12.0, 7, 7)
    assert frames[0].shape == (48, 64 + 2 * (size[1] == 65), 3)
    # The codec is lossy; the gray levels are 20 apart.
    np.testing.assert_allclose([frame.mean() for frame in frames], 20 * np.arange(7), atol=6)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_players_want(tmp_path):
    av = pytest.importorskip("av", minversion="14", reason="the extra `video` is not installed")
    write(tmp_path / "a.mp4", 12, (47, 65), fps=30000 / 1001)
    with av.open(str(tmp_path / "a.mp4")) as container:
        (stream,) = container.streams
        packets = list(container.demux(stream))
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (66, 48)
        assert (stream.frames, stream.average_rate) == (12, Fraction(30000, 1001))
    times = sorted(packet.pts * packet.time_base for packet in packets if packet.pts is not None)
    np.testing.assert_allclose(np.diff(times).astype(float), 1001 / 30000, atol=1e-4)


def test_colours_survive(tmp_path, codec):
    colors = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (40, 90, 228), (128, 128, 128)]
    with VideoSink(tmp_path / "a.mp4", 10) as sink:
        for color in colors:
            sink.write(np.full((48, 64, 3), color, dtype=np.uint8))
    with VideoSource(tmp_path / "a.mp4") as video:
        read = [frame[24, 32] for frame in video]
    np.testing.assert_allclose(read, colors, atol=12)


def test_what_a_killed_process_leaves_is_playable(tmp_path):
    pytest.importorskip("av", minversion="14", reason="the extra `video` is not installed")
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    with VideoSink(tmp_path / "a.mp4", 4) as sink:
        for frame in itertools.islice(itertools.cycle(noise), 60):
            sink.write(frame)
        (partial,) = tmp_path.glob(".a.*.partial.mp4")
        shutil.copy(partial, tmp_path / "killed.mp4")
    with VideoSource(tmp_path / "killed.mp4") as video:
        # All but what the encoder looks ahead, and two seconds.
        assert len(list(video)) >= 24


def test_without_pyav_one_line_says_what_is_missing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(video_module, "av", None)
    write(tmp_path / "a.mp4", 3)
    (record,) = caplog.records
    assert "pip install av" in record.getMessage()


def test_a_broken_off_video_is_complete(tmp_path, codec):
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "a.mp4", 10) as sink:
        for _ in range(3):
            sink.write(np.zeros((16, 16, 3), dtype=np.uint8))
        raise KeyboardInterrupt
    with VideoSource(tmp_path / "a.mp4") as video:
        assert len(list(video)) == 3


def test_ctrl_c_in_the_middle_of_a_frame_loses_none(tmp_path, codec, monkeypatch):
    fit = video_module._fit

    def fit_and_interrupt(frame, size):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.05)
        return fit(frame, size)

    monkeypatch.setattr(video_module, "_fit", fit_and_interrupt)
    frame = np.full((48, 64, 3), 200, dtype=np.uint8)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "a.mp4", 10) as sink:
            for width in (64, 64, 60):  # of another size: it is fitted, and interrupted
                sink.write(frame[:, :width])
    finally:
        signal.signal(signal.SIGINT, previous)
    with VideoSource(tmp_path / "a.mp4") as video:
        assert len(list(video)) == sink.num_frames == 3


def test_ctrl_c_while_the_file_is_closed_does_not_lose_it(tmp_path, codec, monkeypatch):
    close = VideoSink._close

    def interrupt_and_close(sink):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.05)
        close(sink)

    monkeypatch.setattr(VideoSink, "_close", interrupt_and_close)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "a.mp4", 3)
    finally:
        signal.signal(signal.SIGINT, previous)
    with VideoSource(tmp_path / "a.mp4") as video:
        assert len(list(video)) == 3


def test_without_frames_an_earlier_video_stays(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"earlier")
    with VideoSink(path, 10):
        pass
    assert path.read_bytes() == b"earlier"


def test_a_change_of_size_drops_no_frame(tmp_path, codec):
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


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, codec):
    sink = VideoSink(tmp_path / "no" / "folder" / "a.mp4", 10)
    with pytest.raises(OSError, match=r"no/folder/a\.mp4: cannot write a video here \("):
        sink.write(np.zeros((16, 16, 3), dtype=np.uint8))


def test_a_failure_midway_keeps_the_frames_before(tmp_path, codec, monkeypatch):
    with (
        pytest.raises(OSError, match=r"a\.mp4: cannot write"),
        VideoSink(tmp_path / "a.mp4", 10) as sink,
    ):
        for _ in range(3):
            sink.write(np.zeros((16, 16, 3), dtype=np.uint8))

        def fail(frame):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(sink._encoder, "write", fail)
        sink.write(np.zeros((16, 16, 3), dtype=np.uint8))
    with VideoSource(tmp_path / "a.mp4") as video:
        assert len(list(video)) == 3


def noise(num_frames):
    return np.random.default_rng(0).integers(0, 255, (num_frames, 120, 160, 3), dtype=np.uint8)


def test_a_full_disk_leaves_a_finished_video_and_tells_what_is_in_the_other(
    tmp_path, codec, file_size_limit
):
    path, partial = tmp_path / "a.mp4", tmp_path / "a.partial.mp4"
    write(path, 7)
    before = path.read_bytes()
    with (
        file_size_limit(200_000),
        pytest.raises(OSError) as caught,
        VideoSink(path, 2) as sink,
    ):
        for frame in noise(40):
            sink.write(frame)
    assert path.read_bytes() == before
    reason, _, kept = str(caught.value).partition("). ")
    assert reason.startswith(f"{path}: cannot write a video here (")
    if codec == "H.264":
        with VideoSource(partial) as video:
            assert len(list(video)) == sink.num_frames > 4
        assert kept == (
            f"The frames until then ({sink.num_frames}) are in {partial}; {path} is as it was before."
        )
    else:
        assert not partial.exists() and sink.num_frames == 0
        assert kept == "No frame can be played."
    assert list(tmp_path.glob(".*")) == []


def test_a_disk_that_was_full_before_leaves_a_finished_video(tmp_path, codec, file_size_limit):
    path = tmp_path / "a.mp4"
    write(path, 7)
    before = path.read_bytes()
    with file_size_limit(10), pytest.raises(OSError, match=r"a\.mp4: cannot write a video here \("):
        write(path, 3)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_an_error_midway_leaves_a_finished_video(tmp_path, codec, caplog):
    path, partial = tmp_path / "a.mp4", tmp_path / "a.partial.mp4"
    write(path, 7)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="of the model"), VideoSink(path, 10) as sink:
        sink.write(noise(1)[0])
        raise ValueError("an error of the model")
    assert path.read_bytes() == before
    with VideoSource(partial) as video:
        assert len(list(video)) == 1
    assert (
        f"The frames until then (1) are in {partial}; {path} is" in caplog.records[-1].getMessage()
    )


def test_one_ahead_gives_the_same_items():
    with one_ahead(range(50)) as items, one_ahead(item * 2 for item in items) as doubled:
        assert list(doubled) == [2 * item for item in range(50)]
    with one_ahead([]) as items:
        assert list(items) == []


def test_one_ahead_is_one_ahead_and_no_more():
    made = []

    def make():
        for item in range(9):
            made.append((item, threading.current_thread()))
            yield item

    with one_ahead(make()) as items:
        for item in items:
            expected = list(range(min(item + 2, 9)))
            deadline = time.monotonic() + 30
            while len(made) < len(expected) and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.02)  # enough to make one too many
            assert [each for each, _ in made] == expected
    assert {thread for _, thread in made}.isdisjoint({threading.main_thread()})


def test_errors_come_where_the_item_would():
    def make():
        yield from range(3)
        raise RuntimeError("damaged")

    with one_ahead(make()) as items, one_ahead(2 * item for item in items) as doubled:
        assert [next(doubled) for _ in range(3)] == [0, 2, 4]
        with pytest.raises(RuntimeError, match="damaged"):
            next(doubled)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_leaving_early_ends_the_threads(error):
    before = set(threading.enumerate())
    made = []

    def use(doubled):
        for item in doubled:
            if item == 6:
                if error:
                    raise error
                break

    try:
        with (
            one_ahead(made.append(n) or n for n in itertools.count()) as items,
            one_ahead(item * 2 for item in items) as doubled,
        ):
            use(doubled)
    except KeyboardInterrupt:
        assert error
    assert set(threading.enumerate()) <= before  # those of others may end meanwhile
    count = len(made)
    assert count <= 3 + 1 + 3
    time.sleep(0.02)
    assert len(made) == count


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
