"""The rows of a head that stand for classes, brought from those of a checkpoint to those of a model by name.

Legend: K classes of the model, R rows of the checkpoint.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from solo.checkpoint.comparison import listed

# The row beyond the classes that a head of softmax has.
_BACKGROUND = "(background)"
# A class of the model, and the row of the checkpoint that it starts from; None: it starts fresh.
Sources = list[int | None]


def class_keys(model: nn.Module) -> list[str]:
    """Return the names of the parameters that a model declares to have a row per class.

    They are its `category_parameters`; see `solo.modeling.heads.Head`. A model that declares none has none.
    """
    if not hasattr(type(model), "category_parameters"):
        return []
    declared = {id(parameter) for parameter in cast(list[nn.Parameter], model.category_parameters)}
    return [name for name, parameter in model.named_parameters() if id(parameter) in declared]


def same_classes(names: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether the same classes come in the same order, however they are spelled."""
    return [*map(_plain, names)] == [*map(_plain, others)]


def match_classes(names: Sequence[str], known: Sequence[str]) -> Sources:
    """Return where among `known` each name is: as it is spelled, or else as "Traffic_Light" is "traffic light"."""
    exact: dict[str, int] = {}
    plain: dict[str, int] = {}
    for row, name in enumerate(known):
        exact.setdefault(name, row)
        plain.setdefault(_plain(name), row)
    return [exact.get(name, plain.get(_plain(name))) for name in names]


def take_class_rows(
    weights: dict[str, Any],
    model: nn.Module,
    *,
    saved_names: Sequence[str],
    names: Sequence[str],
    path: str,
) -> str:
    """Replace, in a checkpoint, the rows of its classes by those of a model's classes.

    A class of the model has the row of the class of that name, or its own initial values. Without names on
    both sides rows stay where they are, if there are as many; else all classes have their initial values.
    Tensors that differ in more than their rows are left as they are. One row more than there are names is the
    background's.

    Args:
        weights: The tensors of the checkpoint by name; changed in place.
        model: The model, with its initial values.
        saved_names: Of the R classes of the checkpoint; another number of them: not known.
        names: Of the K classes of the model; likewise.
        path: The checkpoint, for the sentence.

    Returns:
        A sentence that says what each class starts from; empty if all rows stay where they are.
    """
    own: dict[str, Tensor] = {key: model.get_parameter(key) for key in class_keys(model)}
    saved = {key: torch.as_tensor(weights[key]) for key in own if key in weights}
    if not saved or any(value.shape[1:] != own[key].shape[1:] for key, value in saved.items()):
        return ""
    counts = {(value.shape[0], own[key].shape[0]) for key, value in saved.items() if value.ndim}
    rows, classes = min(counts, default=(0, 0))
    # With softmax an auxiliary branch has a row less than the head: none of the background.
    if not counts or counts - {(rows, classes), (rows + 1, classes + 1)}:
        return ""
    saved_names, names = _of_rows(saved_names, rows), _of_rows(names, classes)
    known = len(saved_names) == rows and len(names) == classes
    sources: Sources = [*range(classes)] if rows == classes else [None] * classes
    if known:
        sources = match_classes(names, saved_names)
    if sources == [*range(rows)]:
        return ""
    for key, value in saved.items():
        background = [rows] * (value.shape[0] - rows)
        weights[key] = _moved(value, own[key], [*sources, *background])
    if known:
        return _told(sources, names, path)
    who = (
        "the data set does not name them" if len(names) != classes else "that does not name its own"
    )
    return f"All {classes} classes start fresh, and none of the {rows} of {path} goes on: {who}."


def _of_rows(names: Sequence[str], rows: int) -> list[str]:
    """Return the names of rows: of the classes, and of the background where there is one row more."""
    return [*names, _BACKGROUND] if names and len(names) + 1 == rows else [*names]


def carried_class_names(content: Mapping[str, Any]) -> list[str]:
    """Return the class names that a checkpoint carries: ours, or those in mmdetection's meta; empty: none."""
    if content.get("class_names"):
        return [*content["class_names"]]
    meta = content.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    of_data = meta.get("dataset_meta")  # since mmdetection 3; before, CLASSES lay in meta itself
    for place in (of_data if isinstance(of_data, Mapping) else {}, meta):
        for word in ("classes", "CLASSES"):
            found = place.get(word)
            found = [found] if isinstance(found, str) else found
            if isinstance(found, (list, tuple)) and all(isinstance(name, str) for name in found):
                return [*found]
    return []


def coco_class_names() -> list[str]:
    """Return the names of COCO's 80 classes."""
    # Here: it brings all of detectron2's data sets along.
    from detectron2.data.datasets.builtin_meta import COCO_CATEGORIES

    return [str(category["name"]) for category in COCO_CATEGORIES if category["isthing"]]


def _plain(name: str) -> str:
    """Return what is the same of "Dining table", "dining_table" and VOC's "diningtable"."""
    plain = re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name)).casefold()
    return plain or name


def _moved(saved: Tensor, own: Tensor, sources: Sources) -> Tensor:
    """Return a tensor of the model with the rows that it takes over."""
    moved = own.detach().clone()
    for row, source in enumerate(sources):
        if source is not None:
            moved[row] = saved[source]
    return moved


def _told(sources: Sources, names: Sequence[str], path: str) -> str:
    names = [name for name in names if name != _BACKGROUND]
    sources = sources[: len(names)]
    taken = [name for name, source in zip(names, sources, strict=True) if source is not None]
    fresh = [name for name, source in zip(names, sources, strict=True) if source is None]
    if not taken:
        return (
            f"None of the {len(names)} classes is one of {path}; all start fresh: {listed(fresh)}."
        )
    told = f"{len(taken)} of {len(names)} classes start from {path}: {listed(taken)}"
    return f"{told}; fresh: {listed(fresh)}." if fresh else f"{told}."
