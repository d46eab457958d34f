"""Measures of tracks, by TrackEval."""

import numpy as np
import pytest
from compare_trackers import Overlaps, measure, ours, track
from moving_cutouts import Frame
from noisy_detections import Noise, detect

EXACT = Noise(edge=0, missed=0, gap=0, wrong_class=0, ghosts=0)


def bars(num_frames=8):
    """Two bars that move to the right."""
    frames = []
    for step in range(num_frames):
        masks = np.zeros((2, 40, 60), dtype=np.uint8)
        masks[0, 4:16, step : step + 20] = masks[1, 22:34, step : step + 20] = 1
        picture = (masks.any(axis=0)[..., None] * np.array([40, 90, 200])).astype(np.uint8)
        frames.append(Frame(picture, masks, np.ones(2), np.array([3, 8]), np.array([0, 0])))
    return frames


def test_the_measures_of_right_and_wrong_numbers():
    pytest.importorskip("trackeval", reason="trackeval is not installed: pip install -e .[interop]")
    frames = bars()
    found = detect(frames, EXACT, 1, seed=0)
    overlaps = Overlaps(frames, found)
    done = track(ours(), found, frames)
    right = measure([overlaps.data(done.numbers)])
    assert right == pytest.approx({"HOTA": 100, "IDF1": 100, "MOTA": 100, "switches": 0})
    # The numbers change places midway; and what has none is not found.
    swapped = [row if k < 4 else 1 - row for k, row in enumerate(done.numbers)]
    wrong = measure([overlaps.data(swapped)])
    assert wrong["IDF1"] == pytest.approx(50) and wrong["switches"] == 2
    none = measure([overlaps.data([np.where(row == 0, row, -1) for row in done.numbers])])
    assert none["MOTA"] == pytest.approx(50)
