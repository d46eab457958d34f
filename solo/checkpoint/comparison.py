"""What became of the tensors of a checkpoint, counted and named."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from solo.checkpoint.rules import is_ours


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """How the tensors of a checkpoint fit a model.

    Attributes:
        source: Whose checkpoint it is.
        matched: Tensors that both have, in one shape.
        missing: Tensors that only the model has, the counters of BatchNorm not among them.
        unexpected: Tensors that only the checkpoint has.
        reshaped: Tensors that both have, in two shapes: each with both.
        dropped: What was left out of the checkpoint on purpose.
    """

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line of counts."""
        counts = ", ".join(f"{len(names)} {kind}" for kind, names in self._kinds().items())
        return f"{self.source} checkpoint: {counts}"

    @property
    def fits(self) -> bool:
        """Whether the checkpoint is of such a model: nothing missing, no part of another one.

        Deformable convolutions in a plain model, or a tower that is too long, are unexpected and
        load without them, as something else than what was trained.
        """
        parts = [key for key in self.unexpected if is_ours(key)]
        return not (self.missing or self.reshaped or parts)

    def __str__(self) -> str:
        """The counts, and the first names behind each that is not as it should be."""
        named = {kind: names for kind, names in self._kinds().items() if kind != "matched"}
        details = [f"  {kind}: {listed(names)}" for kind, names in named.items() if names]
        return "\n".join([self.summary, *details])

    def _kinds(self) -> dict[str, tuple[str, ...]]:
        return {field.name: getattr(self, field.name) for field in fields(self)[1:]}


def compare(
    weights: Mapping[str, Tensor],
    model: Mapping[str, Tensor],
    *,
    source: str,
    dropped: Iterable[str] = (),
) -> ConversionReport:
    """Compare the tensors of a checkpoint, by our names, with the state dict of a model."""
    both = [key for key in weights if key in model]
    fits = {key: weights[key].shape == model[key].shape for key in both}
    return ConversionReport(
        source=source,
        matched=tuple(key for key in both if fits[key]),
        missing=tuple(key for key in model if key not in weights and not is_counter(key)),
        unexpected=tuple(key for key in weights if key not in model),
        reshaped=tuple(
            f"{key} {list(weights[key].shape)} (model: {list(model[key].shape)})"
            for key in both
            if not fits[key]
        ),
        dropped=tuple(dropped),
    )


def is_counter(key: str) -> bool:
    """Return whether a tensor is BatchNorm's count of batches, which nothing reads."""
    return key.endswith(".num_batches_tracked")


def listed(names: Sequence[str], at_most: int = 10) -> str:
    """Join the first names, and say how many more there are."""
    more = f", ... {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more


def strip_prefix(weights: dict[str, Any], prefix: str) -> None:
    """Remove, in place, the prefix that a wrapper such as DataParallel put before every name."""
    if all(key.startswith(prefix) for key in weights):
        for key in list(weights):
            weights[key.removeprefix(prefix)] = weights.pop(key)
