"""The classes of a model beside those of a data set that it is evaluated on, which may be numbered otherwise."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.structures import Instances

from solo.errors import UserError, shortened
from solo.structures.instances import select_rows

logger = logging.getLogger(__name__)

_NONE = -1


class ClassOrder:
    """Gives what a model finds the classes of a data set: those of the same name.

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
        if _go_by_number(known, number, names):
            if known and list(known) != list(names):
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
        _check_objects(known, names, records, dataset)
        self._table = torch.tensor(
            [names.index(name) if name in names else _NONE for name in known], dtype=torch.int64
        )
        logger.warning(
            "The model and the data set %s number their classes otherwise: they go by name. %s",
            *(dataset, _difference(known, names)),
        )

    def __call__(self, found: Instances) -> Instances:
        """Return instances with the numbers of the data set's classes."""
        if self._table is None:
            return found
        classes = self._table.to(found.pred_classes.device)[found.pred_classes]
        kept = select_rows(found, torch.nonzero(classes != _NONE).flatten())
        kept.pred_classes = classes[classes != _NONE]
        return kept


def _go_by_number(known: Sequence[str], number: int, names: Sequence[str]) -> bool:
    """Tell whether class k is class k: there are as many, and no name has two places."""
    if number != len(names):
        return False
    return all(name == names[k] or name not in names for k, name in enumerate(known))


def _check_objects(
    known: Sequence[str], names: Sequence[str], records: Sequence[dict[str, Any]], dataset: str
) -> None:
    objects = Counter(
        item["category_id"] for record in records for item in record.get("annotations", ())
    )
    lacking = [
        f"{name} ({objects[index]:,})"
        for index, name in enumerate(names)
        if name not in known and objects[index]
    ]
    if lacking:
        raise UserError(
            f"The data set {dataset} has objects of classes that the model lacks, {_listed(lacking)}; "
            f"those of the model are {_listed(known)}. Evaluate it on a data set with its own classes."
        )


def _difference(known: Sequence[str], names: Sequence[str]) -> str:
    """Tell the classes that only one of both has."""
    strangers, unused = (
        [name for name in a if name not in b] for a, b in ((known, names), (names, known))
    )
    told = []
    if strangers:
        told.append(f"What the model finds of {_listed(strangers)} is left out.")
    if unused:
        told.append(f"There are no objects of {_listed(unused)}, which the model lacks.")
    return " ".join(told)


def _listed(names: Sequence[str]) -> str:
    return shortened(", ".join(names))
