"""Frames of video files and cameras in, an mp4 file out, by OpenCV alone."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

# What cameras and damaged files that tell no usable frame rate are taken to have.
_DEFAULT_FPS = 25.0
_MAX_FPS = 1000.0


class VideoSource:
    """A video file or a camera; iterate over it for (H, W, 3) uint8 BGR frames.

    Attributes:
        name: The file's path, or "camera 0".
        fps: Frames per second.
        num_frames: As the file announces; 0 where it does not, and for a camera.
    """

    def __init__(self, source: Path | int) -> None:
        """Open a video.

        Args:
            source: The path of a file, or the number of a camera.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It cannot be read as a video, or there is no such camera.
        """
        is_camera = isinstance(source, int)
        self.name = f"camera {source}" if is_camera else str(source)
        if not is_camera and not Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such video file.")
        self._capture = cv2.VideoCapture(source if is_camera else str(source))
        if not self._capture.isOpened():
            reason = "cannot be opened" if is_camera else "cannot be read as a video"
            raise ValueError(f"{self.name}: {reason}.")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= _MAX_FPS else _DEFAULT_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.num_frames = int(count) if not is_camera and math.isfinite(count) and count > 0 else 0

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the frames that are left."""
        while True:
            success, frame = self._capture.read()
            if not success:
                return
            yield frame

    def __enter__(self) -> "VideoSource":
        """Return the source itself."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file or the camera."""
        self._capture.release()


class VideoSink:
    """An mp4 file to write frames to, as a context manager.

    The file gets its name when it is complete: on leaving the context, also by an exception such as
    Ctrl-C. Without any frame there is no file, and one that was there before is left as it was.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Prepare a file; the first frame decides its size.

        Args:
            path: Where the video goes; ends in .mp4.
            fps: Frames per second.

        Raises:
            ValueError: The name does not end in .mp4.
        """
        if path.suffix.lower() != ".mp4":
            raise ValueError(f"{path}: a video can only be written to a name that ends in .mp4.")
        self.path = path
        self.num_frames = 0
        self._fps = fps
        self._partial = path.with_name(f".{path.stem}.partial.mp4")
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: np.ndarray) -> None:
        """Append one (H, W, 3) uint8 BGR frame.

        Raises:
            OSError: The file cannot be written.
        """
        if self._writer is None:
            self._open(frame.shape[0], frame.shape[1])
        if frame.shape[1::-1] != self._size:
            frame = _fit(frame, self._size)
        self._writer.write(frame)
        self.num_frames += 1

    def _open(self, height: int, width: int) -> None:
        # The encoder takes even sizes only, and would cut the odd row or column off.
        self._size = (width + width % 2, height + height % 2)
        codec = cv2.VideoWriter_fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(self._partial), codec, self._fps, self._size)
        if not self._writer.isOpened():
            self._writer = None
            raise OSError(f"{self.path}: cannot write a video here.")

    def __enter__(self) -> "VideoSink":
        """Return the sink itself."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file and give it its name."""
        if self._writer is None:
            return
        self._writer.release()
        if self.num_frames:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)


def _fit(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a frame to (width, height): by an edge pixel where that does it, else by scaling."""
    right, bottom = size[0] - frame.shape[1], size[1] - frame.shape[0]
    if right in (0, 1) and bottom in (0, 1):
        return cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    # A stream that changes its size midway; OpenCV would drop these frames without a word.
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
