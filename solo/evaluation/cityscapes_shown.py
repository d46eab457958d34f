"""How good what is shown of detections is, beside Cityscapes' images of instance numbers.

Legend: P detections that are shown, T objects.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.structures import Instances

from solo.evaluation.best_f1 import BestF1, best_f1, match
from solo.layers.one_label import one_per_object

# An instance has the number label * 1000 + k; a group that nobody told apart has its label.
FIRST_INSTANCE = 1000


class Tally(NamedTuple):
    """What was found in an image: scores (P,), whether each finds an object (P,), and how many there are."""

    scores: np.ndarray
    hits: np.ndarray
    objects: int


def tally(
    instances: Instances,
    covered_by: Sequence[Counter[int]],
    truths: Mapping[str, Sequence[dict[str, Any]]],
    names: Sequence[str],
    void: Collection[int],
) -> Tally:
    """Tell which detections find an object, each object shown once.

    Args:
        instances: n detections.
        covered_by: Of each, how many pixels of each number it covers.
        truths: Objects and groups by class name, with "instID" and "pixelCount".
        names: Of the classes of the detections.
        void: Numbers that are not evaluated. What lies by half in them, or in a group of its class, does not
            count, unless it finds an object.
    """
    all_ = [(name, item) for name, items in truths.items() for item in items]
    objects = [(name, item) for name, item in all_ if item["instID"] >= FIRST_INSTANCE]
    shown = _shown_rows(instances)
    ious, same = np.zeros((len(shown), len(objects))), np.zeros((len(shown), len(objects)), bool)
    is_free = np.ones(len(shown), bool)
    for row, number in enumerate(shown):
        name, covered = names[int(instances.pred_classes[number])], covered_by[number]
        area = covered.total()
        for column, (other, item) in enumerate(objects):
            both = covered[item["instID"]]
            ious[row, column] = both / (area + item["pixelCount"] - both)
            same[row, column] = name == other
        groups = {item["instID"] for item in truths[name]} - {item["instID"] for _, item in objects}
        is_free[row] = 2 * sum(covered[n] for n in {*void, *groups}) < area
    scores = instances.scores[shown].cpu().numpy()
    hits = match(ious, scores, same) >= 0
    counted = hits | is_free
    return Tally(scores[counted], hits[counted], len(objects))


def best_of(tallies: Sequence[Tally]) -> BestF1:
    """Return the threshold of the best F1 over all images."""
    scores = np.concatenate([np.zeros(0), *(one.scores for one in tallies)])
    hits = np.concatenate([np.zeros(0, bool), *(one.hits for one in tallies)])
    return best_f1(scores, hits, sum(one.objects for one in tallies))


def _shown_rows(instances: Instances) -> list[int]:
    """Return which detections are shown, each object once."""
    kept = Instances(instances.image_size)
    for name in ("scores", "pred_masks", "pred_rles"):
        if instances.has(name):
            kept.set(name, instances.get(name))
    kept.rows = torch.arange(len(instances))
    rows: list[int] = one_per_object(kept).rows.tolist()
    return rows
