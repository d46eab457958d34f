"""What is to be done with images and videos, as the flags of `solo predict` have it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from solo.errors import UserError


class Options(NamedTuple):
    """Which model to ask, and what to do with what it finds.

    The model is a config and a checkpoint, or an exported file; as the flags of `solo predict` have it.
    """

    config_file: str = ""
    weights: str = ""
    onnx: str = ""
    device: str = ""
    opts: Sequence[str] = ()
    tiles: int | None = None
    output: Path | None = None
    json: Path | None = None
    show: bool = False
    threshold: float | None = None  # None: the model's own
    name: str = ""  # of the model, for people
    batch: int = 1  # frames of a video that go through the network together
    # Whether an object of a video is followed through frames that show it less surely, and has to be
    # in two before it is one.
    track: bool = False
    track_seconds: float = 1.0  # that an object may be hidden and keep its number
    mot: Path | None = None  # the file for the tracks of the video, as MOTChallenge has them

    def check(self, num_videos: int) -> None:
        """Look at the flags of videos.

        Raises:
            UserError: They are out of range, or do not fit the number of videos.
        """
        if self.batch < 1:
            raise UserError(f"--batch {self.batch}: give 1 frame or more.")
        if not 0 <= self.track_seconds < float("inf"):
            raise UserError(f"--track-seconds {self.track_seconds:g}: give 0 or more.")
        if self.track and not num_videos:
            raise UserError("--track follows objects through a video, and there is none.")
        if self.mot and num_videos != 1:
            raise UserError(f"--mot {self.mot} is of one video, and there are {num_videos}.")
