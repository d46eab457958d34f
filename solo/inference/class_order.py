"""The classes of a model beside those of a data set that it is evaluated on, which may be numbered otherwise."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.structures import Instances

from solo.checkpoint.class_rows import match_classes, same_classes
from solo.errors import UserError, shortened
from solo.structures.instances import select_rows

logger = logging.getLogger(__name__)

_NONE = -1


class ClassOrder:
    """Gives what a model finds the classes of a data set: those of the same name, however it is spelled.

    What a data set has no class for is left out: no number would be another one with it.
    """

    def __init__(
        self,
        known: Sequence[str],
        number: int,
        names: Sequence[str],
        records: Sequence[dict[str, Any]],
        dataset: str,
    ) -> None:
        """Compare the classes; tell in a sentence where they are not the same.

        Args:
            known: The names of the model's classes; empty if it knows none.
            number: How many classes the model has.
            names: Those of the data set.
            records: Of the data set, in detectron2's format.
            dataset: Its name.

        Raises:
            UserError: There are objects of a class that the model lacks, or another number of classes and
                no names to go by.
        """
        self._table: torch.Tensor | None = None
        if go_by_number(known, number, names):
            if known and not same_classes(known, names):
                logger.warning(
                    "The classes of the model, %s, are taken for those of the data set %s, %s, by their number.",
                    *(_listed(known), dataset, _listed(names)),
                )
            return
        if not known:
            raise UserError(
                f"The model has {number} classes, and the data set {dataset} has {len(names)}: "
                "evaluate it on a data set with its own classes."
            )
        places = [_NONE if place is None else place for place in match_classes(known, names)]
        lacking = [index for index in range(len(names)) if index not in places]
        _check_objects(lacking, known, names, records, dataset)
        self._table = torch.tensor(places, dtype=torch.int64)
        strangers = [name for name, place in zip(known, places, strict=True) if place == _NONE]
        logger.warning(
            "The model and the data set %s number their classes otherwise: they go by name. %s",
            *(dataset, _difference(strangers, [names[index] for index in lacking])),
        )

    def __call__(self, found: Instances) -> Instances:
        """Return instances with the numbers of the data set's classes."""
        if self._table is None:
            return found
        classes = self._table.to(found.pred_classes.device)[found.pred_classes]
        kept = select_rows(found, torch.nonzero(classes != _NONE).flatten())
        kept.pred_classes = classes[classes != _NONE]
        return kept


def go_by_number(known: Sequence[str], number: int, names: Sequence[str]) -> bool:
    """Tell whether class k of a model is class k of a data set: there are as many, and no name has two places.

    Args:
        known: The names of the model's classes; empty if it knows none.
        number: How many classes the model has.
        names: Those of the data set.
    """
    if number != len(names):
        return False
    places = match_classes(known, names)
    return all(place in (None, k) or known[k] == names[k] for k, place in enumerate(places))


def _check_objects(
    lacking: Sequence[int],
    known: Sequence[str],
    names: Sequence[str],
    records: Sequence[dict[str, Any]],
    dataset: str,
) -> None:
    """Raise a UserError where there are objects of the classes of a data set that a model lacks."""
    objects = Counter(
        item["category_id"] for record in records for item in record.get("annotations", ())
    )
    told = [f"{names[index]} ({objects[index]:,})" for index in lacking if objects[index]]
    if told:
        raise UserError(
            f"The data set {dataset} has objects of classes that the model lacks, {_listed(told)}; "
            f"those of the model are {_listed(known)}. Evaluate it on a data set with its own classes."
        )


def _difference(strangers: Sequence[str], unused: Sequence[str]) -> str:
    """Tell the classes that only the model has, and those that only the data set has."""
    told = []
    if strangers:
        told.append(f"What the model finds of {_listed(strangers)} is left out.")
    if unused:
        told.append(f"There are no objects of {_listed(unused)}, which the model lacks.")
    return " ".join(told)


def _listed(names: Sequence[str]) -> str:
    return shortened(", ".join(names))
