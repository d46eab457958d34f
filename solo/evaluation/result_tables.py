"""The tables of an evaluation as people read them: AP of masks, boundaries and boxes, and of each class."""

import math
from collections.abc import Mapping, Sequence

# Classes that fit a screen with the rest.
FEW_CLASSES = 12
NOUNS = {"segm": "mask", "bbox": "box"}
_FIRST = ("segm", "boundary")
Results = Mapping[str, Mapping[str, float]]


def overall_table(rows: Sequence[tuple[str, Mapping[str, float]]], head: str = "") -> str:
    """Return a line for each label, such as "mask", of the numbers of all classes together, in percent.

    `head` says what the labels are.
    """
    metrics = list(dict.fromkeys(name for _, row in rows for name in row if "-" not in name))
    lines = [(label, *(_shown(row.get(name), name) for name in metrics)) for label, row in rows]
    return _aligned([(head, *metrics), *lines])


def class_table(results: Results) -> str:
    """Return a line for each class; empty where there are no numbers of classes."""
    rows: dict[str, dict[str, float]] = {}
    for task, table in masks_first(results):
        for name, value in table.items():
            metric, _, of_class = name.partition("-")
            if of_class:
                rows.setdefault(of_class, {})[f"{task} {metric}"] = value
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [(name, *(_shown(row.get(column)) for column in columns)) for name, row in rows.items()]
    return _aligned([("class", *columns), *lines])


def result_tables(
    results: Results, *, verbose: bool = False, elsewhere: str = "by -v, and in the log"
) -> str:
    """Return the table of all classes together, and that of each if they are few, or all are asked for.

    `elsewhere` says where many classes are found.
    """
    of_classes = class_table(results)
    count = len(of_classes.splitlines()) - 1
    if count > FEW_CLASSES and not verbose:
        of_classes = f"AP of each of the {count} classes: {elsewhere}."
    return "\n\n".join(filter(None, [overall_table(masks_first(results)), of_classes]))


def masks_first(results: Results) -> list[tuple[str, Mapping[str, float]]]:
    """Return the tables by what people call their tasks: "mask" for "segm", "val mask" for "val/segm".

    Masks come first, then their boundaries.
    """
    tasks = sorted(results, key=_place)
    return [(_name(task), results[task]) for task in tasks]


def _place(task: str) -> int:
    words = task.rpartition("/")[2]
    return next((n for n, name in enumerate(_FIRST) if name in words), len(_FIRST))


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines with two spaces between columns, narrower than what tabulate makes of them."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]).rstrip()
        for first, *rest in lines
    )


def _name(task: str) -> str:
    dataset, _, words = task.rpartition("/")
    for name, said in NOUNS.items():
        words = words.replace(name, said)
    return f"{dataset} {words}".lstrip()


def _shown(value: float | None, metric: str = "") -> str:
    # No number: where no object is small, or a class has none.
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.2f}" if metric == "threshold" else f"{value:.1f}"
