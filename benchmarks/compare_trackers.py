r"""Trackers beside each other on videos of moving cut-outs: HOTA, IDF1, MOTA, switches of ids, and time.

Each gets the same detections: what is in view with noise (shifted edges, missed frames, wrong classes,
things that are not there, and lower scores for what is half hidden), or what a trained model finds
(--model). ByteTrack and BoT-SORT see the bounds of the masks. All are measured by their masks, by TrackEval.
It needs `pip install trackers trackeval`; the ByteTrack of supervision itself, gone from its newest versions,
is taken, too, where there is one (0.26).

Examples:
    python benchmarks/compare_trackers.py --annotations val.json --images val/ --json trackers.json
    python benchmarks/compare_trackers.py --annotations val.json --images val/ --model output/quickstart
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from detectron2.structures import Instances
from moving_cutouts import FPS, Frame, Piece, Scene, compose, read_pieces
from noisy_detections import Noise, detect
from pycocotools import mask as coco_mask
from tabulate import tabulate

from solo.errors import UserError
from solo.inference import Predictor
from solo.inference.tracking import LOW_SCORE, Tracker
from solo.structures.run_lengths import encode_masks

Update = Callable[[Instances, np.ndarray], np.ndarray]
# From which score on a detection is one, for ours and for those whose defaults are of other detectors.
THRESHOLD = 0.4


SCENES = {
    "few, camera at rest": (Scene(num_objects=5), Noise()),
    "many, camera at rest": (Scene(num_objects=14), Noise()),
    "many, camera shakes": (Scene(num_objects=10, shake=6.0), Noise()),
    "many, poor detections": (Scene(num_objects=10), Noise(2.0, 0.15, 0.03, 0.1, 1.0)),
}
# Like the images that the models know.
OF_A_MODEL = Scene(size=(192, 192), num_objects=5, sides=(40, 90))


def ours(*, seeing: bool = True) -> Update:
    """Return the tracker of solo, as `solo predict --track` has it; or without the pictures."""
    tracker = Tracker(max_gap=FPS, score_thresh=THRESHOLD, min_hits=2)
    return lambda found, picture: tracker.update(found, picture if seeing else None)


def theirs(make: Callable[[], Any], *, seeing: bool = False) -> Update:
    """Return a tracker of supervision or of trackers, as a function as ours."""
    import supervision as sv

    tracker = make()

    def update(found: Instances, picture: np.ndarray) -> np.ndarray:
        numbers = np.full(len(found), -1)
        detections = sv.Detections(
            xyxy=found.pred_boxes.tensor.numpy(),
            confidence=found.scores.numpy(),
            class_id=found.pred_classes.numpy(),
            data={"row": np.arange(len(found))},
        )
        if hasattr(tracker, "update_with_detections"):
            tracked = tracker.update_with_detections(detections)
        else:
            tracked = tracker.update(detections, *[picture] * seeing)
        if len(tracked):
            numbers[tracked.data["row"].astype(int)] = tracked.tracker_id
        return numbers

    return update


def all_trackers() -> dict[str, Callable[[], Update]]:
    """Return all of them by their names: functions that begin a video."""
    try:
        import supervision as sv
        from trackers import BoTSORTTracker, ByteTrackTracker
    except ImportError as error:
        raise UserError(f"{error}: pip install trackers trackeval") from error
    made: dict[str, Callable[[], Update]] = {
        "solo": ours,
        "solo, blind": lambda: ours(seeing=False),
    }
    own = getattr(sv, "ByteTrack", None)
    if own:
        made[f"ByteTrack, supervision {sv.__version__}"] = lambda: theirs(
            lambda: own(frame_rate=FPS, track_activation_threshold=THRESHOLD)
        )
    scores = {"track_activation_threshold": THRESHOLD, "high_conf_det_threshold": THRESHOLD}
    made["ByteTrack, its defaults"] = lambda: theirs(lambda: ByteTrackTracker(frame_rate=FPS))
    made["ByteTrack, our scores"] = lambda: theirs(
        lambda: ByteTrackTracker(frame_rate=FPS, **scores)
    )
    made["BoT-SORT, our scores"] = lambda: theirs(
        lambda: BoTSORTTracker(frame_rate=FPS, **scores), seeing=True
    )
    return made


class Tracked(NamedTuple):
    """What a tracker says of a video."""

    numbers: list[np.ndarray]  # of each frame, of its instances
    seconds: float


def track(update: Update, found: Sequence[Instances], frames: Sequence[Frame]) -> Tracked:
    """Run a tracker through a video."""
    started = time.process_time()
    pairs = zip(found, frames, strict=True)
    numbers = [update(instances, frame.picture) for instances, frame in pairs]
    return Tracked(numbers, time.process_time() - started)


class Overlaps:
    """The IoUs of what is in view and what was found, once for all trackers."""

    def __init__(self, frames: Sequence[Frame], found: Sequence[Instances]) -> None:
        """Compare the masks of a video."""
        self._frames = frames
        self._ious = [
            self._compare(frame, instances) for frame, instances in zip(frames, found, strict=True)
        ]

    @staticmethod
    def _compare(frame: Frame, found: Instances) -> np.ndarray:
        rles = [encode_masks(masks) for masks in (torch.from_numpy(frame.masks), found.pred_masks)]
        crowd = [0] * len(found)
        return np.array(coco_mask.iou(*rles, crowd)).reshape(len(frame.ids), len(found))

    def data(self, numbers: Sequence[np.ndarray]) -> dict[str, Any]:
        """Return a video as TrackEval takes it: ids without gaps, from 0."""
        truth = {name: row for row, name in enumerate(_names(frame.ids for frame in self._frames))}
        named = {name: row for row, name in enumerate(_names(row[row >= 0] for row in numbers))}
        ids = [
            np.array([truth[name] for name in frame.ids.tolist()], dtype=int)
            for frame in self._frames
        ]
        tracked = [
            np.array([named[name] for name in row[row >= 0].tolist()], dtype=int) for row in numbers
        ]
        return {
            "num_timesteps": len(ids),
            "num_gt_ids": len(truth),
            "num_tracker_ids": len(named),
            "num_gt_dets": sum(map(len, ids)),
            "num_tracker_dets": sum(map(len, tracked)),
            "gt_ids": ids,
            "tracker_ids": tracked,
            "similarity_scores": [
                iou[:, row >= 0] for iou, row in zip(self._ious, numbers, strict=True)
            ],
        }


def _names(rows: Iterable[np.ndarray]) -> list[int]:
    return sorted({name for row in rows for name in row.tolist()})


def measure(videos: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return HOTA, IDF1, MOTA in percent and the switches of ids of videos together, by TrackEval."""
    from trackeval.metrics import CLEAR, HOTA, Identity

    together = []
    for metric in (HOTA(), Identity({"PRINT_CONFIG": False}), CLEAR({"PRINT_CONFIG": False})):
        results = {str(row): metric.eval_sequence(video) for row, video in enumerate(videos)}
        together.append(metric.combine_sequences(results))
    hota, identity, clear = together
    return {
        "HOTA": 100 * float(np.mean(hota["HOTA"])),
        "IDF1": 100 * float(identity["IDF1"]),
        "MOTA": 100 * float(clear["MOTA"]),
        "switches": float(clear["IDSW"]),
    }


class Videos(NamedTuple):
    """Videos of a setting and a seed, and what was found in them."""

    frames: list[list[Frame]]
    found: list[list[Instances]]


def with_noise(
    name: str, data: tuple[list[Piece], list[np.ndarray]], seed: int, count: int
) -> Videos:
    """Compose videos of a scene, and disturb what is in view."""
    scene, noise = SCENES[name]
    num_classes = 1 + max(piece.category for piece in data[0])
    seeds = [1000 * seed + number for number in range(count)]
    frames = [compose(scene, *data, one) for one in seeds]
    found = [detect(some, noise, num_classes, one) for some, one in zip(frames, seeds, strict=True)]
    return Videos(frames, found)


def with_model(
    predictor: Predictor, data: tuple[list[Piece], list[np.ndarray]], seed: int, count: int
) -> Videos:
    """Compose videos, and ask a model what it finds, down to low scores."""
    frames = [compose(OF_A_MODEL, *data, 1000 * seed + number) for number in range(count)]
    found = [[predictor(frame.picture, threshold=LOW_SCORE) for frame in some] for some in frames]
    return Videos(frames, found)


def compare(name: str, videos: Sequence[Videos]) -> list[dict[str, Any]]:
    """Measure all trackers in one setting, a row each: mean and standard deviation over the seeds."""
    rows = []
    overlaps = [
        [Overlaps(frames, found) for frames, found in zip(some.frames, some.found, strict=True)]
        for some in videos
    ]
    for tracker, begin in all_trackers().items():
        measured, seconds, count = [], 0.0, 0
        for some, compared in zip(videos, overlaps, strict=True):
            done = [
                track(begin(), found, frames)
                for found, frames in zip(some.found, some.frames, strict=True)
            ]
            seconds += sum(one.seconds for one in done)
            count += sum(len(one.numbers) for one in done)
            pairs = zip(compared, done, strict=True)
            measured.append(measure([overlap.data(one.numbers) for overlap, one in pairs]))
        row: dict[str, Any] = {"setting": name, "tracker": tracker}
        for key in measured[0]:
            values = [one[key] for one in measured]
            row[key], row[f"{key} spread"] = float(np.mean(values)), float(np.std(values))
        rows.append({**row, "ms": 1000 * seconds / count})
    return rows


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table of Markdown."""
    keys = ("HOTA", "IDF1", "MOTA", "switches")
    lines = [
        [row["setting"], row["tracker"]]
        + [f"{row[key]:.1f} ± {row[f'{key} spread']:.1f}" for key in keys]
        + [f"{row['ms']:.1f}"]
        for row in rows
    ]
    return tabulate(lines, ["setting", "tracker", *keys, "ms a frame"], tablefmt="github")


def main() -> None:
    """Compare, print the table, and write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True, metavar="PATH", help="COCO json")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", metavar="RUN", help="detections of this training's model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=3, help="of a setting and a seed")
    parser.add_argument("--settings", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = read_pieces(args.annotations, args.images)
    rows = []
    if args.model:
        predictor = Predictor.from_run(args.model)
        videos = [with_model(predictor, data, seed, args.videos) for seed in range(args.seeds)]
        rows += compare("a trained model", videos)
    else:
        for name in args.settings:
            videos = [with_noise(name, data, seed, args.videos) for seed in range(args.seeds)]
            rows += compare(name, videos)
    print(as_table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
