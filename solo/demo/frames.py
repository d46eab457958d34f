"""The frames of one video: found in batches, tracked, drawn and described, each stage in a thread of its own."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.structures import Instances

from solo.demo.options import Options
from solo.inference import Predictor
from solo.inference.mot_lines import mot_lines
from solo.inference.tracking import LOW_SCORE, Tracker
from solo.structures.instances import select_rows
from solo.visualization.palette import PALETTE
from solo.visualization.video import one_ahead

# Frames that have to show an object, where objects are followed.
_MIN_HITS = 2


class DoneFrame(NamedTuple):
    """A frame of a video, drawn."""

    picture: np.ndarray
    records: list[dict[str, Any]]  # of the JSON file, where one is asked for
    mot: list[str]  # lines of the MOT file, likewise
    newcomers: list[int]  # the classes of objects that no frame before it showed


class FrameStages:
    """What is done with the frames of one video, from the first to the last.

    Attributes:
        model_seconds: That the model took for them.
    """

    def __init__(self, predictor: Predictor, options: Options, name: str, fps: float) -> None:
        """Begin a video.

        Args:
            predictor: The model.
            options: What is asked for.
            name: Of the video, for the records.
            fps: Its frames per second.
        """
        self.model_seconds = 0.0
        self._predictor = predictor
        self._options = options
        self._name = name
        own = predictor.threshold
        self._least = own if options.threshold is None else options.threshold
        self._tracker = Tracker(
            max_gap=round(options.track_seconds * fps),
            num_colors=len(PALETTE),
            score_thresh=self._least if options.track else 0.0,
            min_hits=_MIN_HITS if options.track else 1,
        )

    @contextmanager
    def passed(self, frames: Iterable[np.ndarray], batch: int) -> Iterator[Iterator[DoneFrame]]:
        """Pass frames through all stages, a batch ahead of each other: the model waits for none of them.

        Args:
            frames: (H, W, 3) uint8 BGR each.
            batch: Frames that go through the network together; four times as many are kept at most.

        Yields:
            The frames, done, in their order.
        """
        with (
            one_ahead(_in_batches(frames, batch)) as decoded,
            one_ahead(map(self._find, decoded)) as found,
            one_ahead(self._finish(itertools.chain.from_iterable(found))) as finished,
        ):
            yield finished

    def _find(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, Instances]]:
        started = time.perf_counter()
        least = min(self._least, LOW_SCORE) if self._options.track else self._least
        found = self._predictor.batch(frames, threshold=least)
        self.model_seconds += time.perf_counter() - started
        return list(zip(frames, found, strict=True))

    def _finish(self, frames: Iterable[tuple[np.ndarray, Instances]]) -> Iterator[DoneFrame]:
        """Number, draw and describe the instances of each frame, with one colour per object throughout."""
        places: dict[int, int] = {}  # of the labels: they hold still
        highest = -1
        # What is followed may be below the threshold that a picture would name.
        threshold = 0.0 if self._options.track else self._least
        for index, (frame, found) in enumerate(frames):
            numbers = self._tracker.update(found, frame)
            rows = np.flatnonzero(numbers >= 0)
            if len(rows) < len(numbers):
                found, numbers = select_rows(found, torch.from_numpy(rows)), numbers[rows]
            picture = self._predictor.draw(
                frame, found, threshold=threshold, color_by=numbers, places=places
            )
            newcomers = found.pred_classes[numbers > highest].tolist()
            yield DoneFrame(picture, *self._describe(index, found, numbers), newcomers)
            highest = max([highest, *numbers.tolist()])

    def _describe(
        self, index: int, found: Instances, numbers: np.ndarray
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the records and the lines of a frame, where they are asked for."""
        records, lines = [], []
        if self._options.json:
            source = {"file_name": self._name, "frame": index}
            described = self._predictor.to_dicts(found)
            for record, number in zip(described, numbers.tolist(), strict=True):
                records.append({**source, **record, "track_id": number})
        if self._options.mot:
            lines = mot_lines(index, found, numbers, self._predictor.category_ids)
        return records, lines


def _in_batches(frames: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Yield lists of so many frames, the last of which may be shorter."""
    rest = iter(frames)
    while batch := list(itertools.islice(rest, size)):
        yield batch
