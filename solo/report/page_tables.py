"""The tables of the page: of the classes, and of those that are confused."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from solo.architectures import BBOX, BOUNDARY
from solo.report.confusion import confusion_matrix, most_confused, most_confused_classes
from solo.report.held_out import HeldOut, judged_task
from solo.visualization.accuracy import class_aps

# Of the bar of a class with an AP of 100, in pixels.
_BAR_WIDTH = 240
# More classes make a matrix that nobody reads.
_MAX_CLASSES = 12
_MAX_PAIRS = 5


class Cell(NamedTuple):
    """A number of a matrix, and its share of its row or column, 0 to 1."""

    number: int
    share: float
    kind: str  # "right" or "wrong"


def class_rows(held_out: HeldOut) -> Iterator[dict[str, Any]]:
    """Yield what the page says of each class."""
    number = len(held_out.class_names)
    objects, predictions = (
        np.bincount(np.concatenate(classes), minlength=number).tolist()
        for classes in (
            [image.truth.pred_classes.numpy() for image in held_out.images],
            [image.found.pred_classes.numpy() for image in held_out.images],
        )
    )
    aps = 100 * class_aps(held_out.precisions[judged_task(held_out.tables)])
    others = {
        f"{noun}_ap": 100 * class_aps(held_out.precisions[task]).mean(axis=0)
        for task, noun in {BBOX: "box", BOUNDARY: BOUNDARY}.items()
        if task in held_out.precisions
    }
    mean_aps = aps.mean(axis=0)
    for index, name in enumerate(held_out.class_names):
        yield {
            "name": name,
            "objects": objects[index],
            "predictions": predictions[index],
            "threshold": held_out.class_thresholds[index],
            **{column: values[index] for column, values in others.items()},
            "ap50": aps[0, index],
            "ap75": aps[5, index],
            "ap": mean_aps[index],
            "width": round(np.nan_to_num(mean_aps[index]) / 100 * _BAR_WIDTH),
        }


def confusions(held_out: HeldOut) -> dict[str, Any]:
    """Return the matrix as rows of cells, and the pairs of classes that are confused most often."""
    names = held_out.class_names
    matrix = confusion_matrix(held_out.images, len(names))
    shown = most_confused_classes(matrix, _MAX_CLASSES)
    columns = [*(names[index] for index in shown), "missed"]
    if hidden := len(names) - len(shown):
        columns.insert(-1, f"{hidden} others")
    rows = [*(names[index] for index in shown), "no object"]
    pairs = most_confused(matrix)[:_MAX_PAIRS]
    return {
        "columns": columns,
        "rows": list(zip(rows, _cells(matrix, shown), strict=True)),
        "hidden": hidden,
        "classes": len(names),
        "pairs": [(names[pair.truth], names[pair.prediction], pair.number) for pair in pairs],
    }


def _cells(matrix: np.ndarray, shown: Sequence[int]) -> Iterator[list[Cell]]:
    """Yield the rows of some classes and of no object; the classes that are not shown become one column.

    Shares are of the row, but in the last one, where there are no objects, of the column.
    """
    others = np.delete(matrix[:, :-1], shown, axis=1)
    columns = [matrix[:, shown], others.sum(axis=1)[:, None], matrix[:, -1:]]
    merged = np.hstack(columns if others.size else columns[::2])
    rows = merged[[*shown, -1]]
    shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    shares[-1] = rows[-1] / np.maximum(merged.sum(axis=0), 1)
    for row, counts in enumerate(rows.tolist()):
        right = row if row < len(shown) else None
        yield [
            Cell(count, shares[row, column], "right" if column == right else "wrong")
            for column, count in enumerate(counts)
        ]
