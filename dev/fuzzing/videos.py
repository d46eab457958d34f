"""Videos with damaged bytes: frames, or a sentence."""

import random
from pathlib import Path

import cv2
import numpy as np

from fuzzing.changes import change_bytes, flip_bits
from fuzzing.kind import Kind
from fuzzing.outcomes import Outcome, Verdict, attempt, wrong
from solo.visualization.video import VideoSource

_SIZE = (48, 32)
_FRAMES = 10
# Of a file of ten frames: more may be repeated, but not without end.
_MOST_FRAMES = 1000


class Videos(Kind):
    """MPEG-4 in mp4 and avi, and Motion JPEG, with one to three changes."""

    name, cases = "videos", 300

    def __init__(self, folder: Path) -> None:
        """Write the videos as they should be."""
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 255, (_FRAMES, *_SIZE[::-1], 3), dtype=np.uint8)
        self.files = []
        for name, codec in (("a.mp4", "mp4v"), ("b.avi", "MJPG"), ("c.avi", "XVID")):
            path = folder / name
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, _SIZE)
            for frame in frames:
                writer.write(frame)
            writer.release()
            self.files.append((path.name, path.read_bytes()))

    def write(self, rng: random.Random, folder: Path) -> Path:
        """Write a video with changed bytes, in half of the cases among its first or last."""
        name, data = rng.choice(self.files)
        for _ in range(rng.choice((1, 1, 2, 3))):
            parts = ((0, len(data)), (0, min(300, len(data))), (max(0, len(data) - 800), len(data)))
            start, end = rng.choice((parts[0], parts[0], *parts[1:]))
            data = change_bytes(data, rng, start=start, end=end)
        if rng.random() < 0.3 and data:
            data = flip_bits(data, rng, 5)
        path = folder / f"fuzzed{Path(name).suffix}"
        path.write_bytes(data)
        return path

    def run(self, rng: random.Random, path: Path) -> Outcome:
        """Read all of its frames."""
        outcome, count = attempt((path.name,), _count_frames, path)
        if count is not None and count >= _MOST_FRAMES:
            return wrong("frames without end", "video")
        return outcome if count != 0 else Outcome(Verdict.TOLD)  # the demo says so


def _count_frames(path: Path) -> int:
    count = 0
    with VideoSource(path) as frames:
        for frame in frames:
            if frame.ndim != 3 or frame.dtype != np.uint8:
                raise TypeError(f"a frame is {frame.shape} {frame.dtype}")
            count += 1
            if count >= _MOST_FRAMES:
                break
    return count
