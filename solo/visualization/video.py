"""Frames of video files and cameras in, an mp4 file out, and threads so that none waits for another."""

import logging
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

import cv2
import numpy as np

from solo.errors import UserError
from solo.files import reason_of, written_whole

try:
    import av
except ImportError:  # the extra `video` is not installed
    av = None

logger = logging.getLogger(__name__)

# What cameras and damaged files that tell no usable frame rate are taken to have.
_DEFAULT_FPS = 25.0
_MAX_FPS = 1000.0
# The first release of PyAV whose FFmpeg can write a file that is playable at any time.
_MIN_AV = 14
_SECONDS_BETWEEN_KEYFRAMES = 2

_ENCODER_ERRORS = (OSError, av.FFmpegError) if av else (OSError,)

T = TypeVar("T")


class VideoSource(AbstractContextManager["VideoSource"]):
    """A video file or a camera; iterate over it for (H, W, 3) uint8 BGR frames.

    Attributes:
        name: The file's path, or "camera 0".
        is_camera: Whether it is one.
        fps: Frames per second.
        num_frames: As the file announces; 0 where it does not, and for a camera.
    """

    def __init__(self, source: Path | int) -> None:
        """Open a video.

        Args:
            source: The path of a file, or the number of a camera.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: It cannot be read as a video, or there is no such camera.
        """
        self.is_camera = is_camera = isinstance(source, int)
        self.name = f"camera {source}" if is_camera else str(source)
        if not isinstance(source, int) and not Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such video file.")
        self._capture = cv2.VideoCapture(source if is_camera else str(source))
        if not self._capture.isOpened():
            reason = "cannot be opened" if is_camera else "cannot be read as a video"
            raise UserError(f"{self.name}: {reason}.")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= _MAX_FPS else _DEFAULT_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.num_frames = int(count) if not is_camera and math.isfinite(count) and count > 0 else 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the frames that are left."""
        while (frame := self._capture.read()[1]) is not None:
            yield frame

    def __exit__(self, *_: object) -> None:
        """Close the file or the camera."""
        self._capture.release()


@contextmanager
def one_ahead(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """Make each item in a thread while the one before it is used.

    Chains of these are the stages of a pipeline; its memory is bounded, as no stage is more than one
    item ahead of the next. Errors come where the item would. On leaving the context, by `break` and
    Ctrl-C, too, the item being made is waited for, and no other is begun.

    Args:
        items: Whatever yields them; only the thread runs it.

    Yields:
        The same items, in their order.
    """
    source, end = iter(items), object()
    pool = ThreadPoolExecutor(1)

    def passed_on() -> Iterator[T]:
        coming = pool.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, source, end)
            yield cast(T, item)

    try:
        yield passed_on()
    finally:
        pool.shutdown(cancel_futures=True)


class VideoSink(AbstractContextManager["VideoSink"]):
    """An mp4 file to write frames to, as a context manager.

    With PyAV it is H.264, which every player and browser knows, else MPEG-4 part 2.

    The file gets its name when it is complete: on leaving the context, also by Ctrl-C. Without any frame
    there is no file, and one that was there before is left as it was. After an error, as of a full disk,
    the frames until then get the name if it is free, else another ("clip.partial.mp4").
    Until then its name is hidden (".clip.0123abcd.partial.mp4"); of H.264, what a killed process leaves
    there is playable, and stays until the next one writes to the folder.

    Attributes:
        path: Where the video goes.
        num_frames: That were written; after an error, once the context is left, that can be played.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Prepare a file; the first frame decides its size.

        Args:
            path: Where the video goes; ends in .mp4.
            fps: Frames per second.

        Raises:
            UserError: The name does not end in .mp4.
        """
        if path.suffix.lower() != ".mp4":
            raise UserError(f"{path}: a video can only be written to a name that ends in .mp4.")
        self.path = path
        self.num_frames = 0
        self._fps = fps
        self._file = ExitStack()
        self._partial = path
        self._encoder: _H264Encoder | _Mpeg4Encoder | None = None
        self._failure: Exception | None = None
        self._broke_off = False
        self._size = (0, 0)
        # Ctrl-C breaks into the main thread only: between an encoder and its file it would lose
        # what a dozen frames after it refer to.
        self._thread = ThreadPoolExecutor(1)

    def write(self, frame: np.ndarray) -> None:
        """Append one (H, W, 3) uint8 BGR frame.

        Raises:
            OSError: The file cannot be written.
        """
        try:
            self._thread.submit(self._append, frame).result()
        except _ENCODER_ERRORS as error:
            self._failure = error
            raise OSError(self._describe(error)) from error

    def _append(self, frame: np.ndarray) -> None:
        if self._encoder is None:
            self._encoder = self._open(frame.shape[0], frame.shape[1])
        if frame.shape[1::-1] != self._size:
            frame = _fit(frame, self._size)
        self._encoder.write(frame)
        self.num_frames += 1

    def _open(self, height: int, width: int) -> "_H264Encoder | _Mpeg4Encoder":
        # The encoders take even sizes only, and would cut the odd row or column off.
        self._size = (width + width % 2, height + height % 2)
        self._partial = self._file.enter_context(written_whole(self.path))
        self._file.callback(self._drop_if_empty)
        kind = _H264Encoder if _can_encode_h264() else _Mpeg4Encoder
        return kind(self._partial, self._fps, self._size)

    def _drop_if_empty(self) -> None:
        if not self.num_frames:
            self._partial.unlink(missing_ok=True)

    def _describe(self, error: Exception) -> str:
        # Some of PyAV's errors are OSErrors, and all name another file than the user did.
        return f"{self.path}: cannot write a video here ({reason_of(error)})."

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Close the file and give it its name.

        Raises:
            OSError: It could not be written; says where the frames until then are.
        """
        with self._thread:
            self._broke_off = isinstance(error, Exception)
            self._thread.submit(self._close).result()

    def _close(self) -> None:
        kept = ""
        with self._file:
            if self._encoder is None:
                return
            try:
                self._encoder.close()
            except _ENCODER_ERRORS as error:
                self._failure = self._failure or error
            if self._failure:
                self.num_frames = _count_frames(self._partial)
            if self.num_frames and (self._broke_off or self._failure):
                kept = self._keep()
        if self._failure:
            raise OSError(f"{self._describe(self._failure)} {kept or 'No frame can be played.'}")
        if kept:
            logger.warning("%s", kept)

    def _keep(self) -> str:
        """Give a video that broke off a name which no finished one has; say which."""
        name = (
            f"{self.path.stem}.partial{self.path.suffix}" if self.path.exists() else self.path.name
        )
        kept = self._partial.replace(self.path.with_name(name))
        as_before = "" if kept == self.path else f"; {self.path} is as it was before"
        return f"The frames until then ({self.num_frames}) are in {kept}{as_before}."


class _H264Encoder:
    """H.264 by PyAV; the arguments are a path, frames per second and (width, height)."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        # Fragments, each complete in itself and written at once, which closing turns into an
        # ordinary file.
        options = {"movflags": "hybrid_fragmented", "flush_packets": "1"}
        self._container = av.open(str(path), "w", format="mp4", options=options)
        self._stream = self._container.add_stream(
            "libx264",
            rate=Fraction(fps).limit_denominator(1001),  # 30000 / 1001 is 29.97
            options={"preset": "veryfast", "crf": "20"},
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.gop_size = math.ceil(fps * _SECONDS_BETWEEN_KEYFRAMES)
        # One beside the model is enough, and takes no cores from it.
        context.thread_count = 1
        # What the conversion makes; players guess by the size where they are not told.
        context.colorspace = av.video.reformatter.Colorspace.ITU601
        context.color_range = av.video.reformatter.ColorRange.MPEG
        # Begun at once: a place that cannot be written to is told before the first frames.
        self._container.start_encoding()

    def write(self, frame: np.ndarray) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _Mpeg4Encoder:
    """MPEG-4 part 2 by OpenCV, with the same arguments."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        logger.warning(
            "PyAV %d or newer with libx264 is not installed (pip install av): the video becomes "
            "MPEG-4 part 2, which browsers do not play.",
            _MIN_AV,
        )
        self._path = path
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
        if not self._writer.isOpened():
            raise OSError(None, "OpenCV cannot open it")
        self.write = self._writer.write

    def close(self) -> None:
        self._writer.release()
        # It tells of no failure; without the end of the file none of it can be played.
        if not cv2.VideoCapture(str(self._path)).grab():
            raise OSError(None, "OpenCV could not complete it; is the disk full?")


def _can_encode_h264() -> bool:
    is_recent = av is not None and int(av.__version__.split(".")[0]) >= _MIN_AV
    return is_recent and "libx264" in av.codecs_available


def _count_frames(path: Path) -> int:
    """Count the frames that can be played: of a file that broke off, the head announces others."""
    return sum(1 for _ in iter(cv2.VideoCapture(str(path)).grab, False))


def _fit(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a frame to (width, height): by an edge pixel where that does it, else by scaling."""
    right, bottom = size[0] - frame.shape[1], size[1] - frame.shape[0]
    if right in (0, 1) and bottom in (0, 1):
        return cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    # A stream that changes its size midway; OpenCV would drop these frames without a word.
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
