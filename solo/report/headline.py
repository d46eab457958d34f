"""How good a model is, what most goes wrong and what to do next, in a sentence each."""

import shlex
from typing import NamedTuple

from solo.evaluation.result_tables import NOUNS
from solo.report.confusion import confusion_matrix, most_confused
from solo.report.held_out import HeldOut, judged_task
from solo.report.run_folder import Run
from solo.report.tally import Tally, tally
from solo.report.verdicts import DEFINITIONS, Kind
from solo.terminal import how_many

# Below it, data and config are to be looked at before the model is used.
_USABLE_F1 = 0.5
_WRONG = {
    Kind.MISSED: "objects are missed",
    Kind.MERGED: "objects share a mask with a neighbour",
    Kind.SPLIT: "objects are found in pieces",
    Kind.DUPLICATE: "predictions show what another one has found",
    Kind.WRONG_CLASS: "objects are taken for another class",
    Kind.POOR: "objects have a mask that fits badly",
    Kind.BACKGROUND: "predictions are where no object is",
}


class Headline(NamedTuple):
    """Sentences for people."""

    how_good: str
    most_wrong: str
    next_command: str
    next_reason: str


def headline(run: Run, held_out: HeldOut) -> Headline:
    """Say of a run what its held-out images tell."""
    counts = tally(held_out.images)
    f1 = 2 * counts.correct / max(counts.num_objects + counts.shown, 1)
    folder = shlex.quote(str(run.folder))
    command = f"solo predict photo.jpg --model {folder}"
    reason = "draws what it finds on a picture of yours"
    if f1 < _USABLE_F1:
        command = f"solo data survey --config {shlex.quote(str(run.config_file))}"
        reason = "says whether levels, grids and input size fit the objects"
    return Headline(_how_good(held_out, counts), _most_wrong(held_out, counts), command, reason)


def _how_good(held_out: HeldOut, counts: Tally) -> str:
    task = judged_task(held_out.tables)
    return (
        f"Finds {_share(counts.correct, counts.num_objects)} objects; "
        f"{_share(counts.shown - counts.correct, counts.shown)} predictions are wrong, at threshold "
        f"{held_out.threshold:.2f}. {NOUNS[task].capitalize()} AP {held_out.tables[task]['AP']:.1f} on "
        f"{held_out.dataset}, "
        f"{how_many(len(held_out.images), 'image')}."
    )


def _share(part: int, whole: int) -> str:
    """Return a share in words: none and all are said of none and all alone."""
    if not whole or part in (0, whole):
        return "none of the" if not part else "all"
    number = min(round(100 * part / whole), 99)
    return f"{number or 'fewer than 1'}% of the {whole:,}"


def _most_wrong(held_out: HeldOut, counts: Tally) -> str:
    numbers = {kind: _number(counts, kind) for kind in DEFINITIONS}
    worst = max(numbers, key=lambda kind: numbers[kind][0])
    count, whole = numbers[worst]
    if not count:
        return "Nothing goes wrong."
    wrong = _WRONG[worst].replace("mask", NOUNS[judged_task(held_out.tables)])
    return f"What most goes wrong: {count:,} of {whole:,} {wrong}{_example(held_out, worst)}."


def _number(counts: Tally, kind: Kind) -> tuple[int, int]:
    """Return how many objects, or predictions where no object can be, are of a kind, and of how many."""
    of_kind = counts.of(kind)
    if "objects" in of_kind:
        return of_kind["objects"], counts.num_objects
    return of_kind["predictions"], counts.shown


def _example(held_out: HeldOut, kind: Kind) -> str:
    names = held_out.class_names
    pairs = most_confused(confusion_matrix(held_out.images, len(names)))
    if kind != Kind.WRONG_CLASS or not pairs:
        return ""
    return f", most often {names[pairs[0].truth]} for {names[pairs[0].prediction]}"
