"""Whether a config fits a data set, in words, and what to change if it does not."""

import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
from detectron2.config import CfgNode

from solo.survey.analysis import Analysis
from solo.survey.proposal import MIN_PIXELS, needed_growth
from solo.survey.statistics import Survey

# The input stays as it is if it would change by less than this factor.
MUCH = 1.25
# Levels stay as they are up to these shares of objects without a cell, and of cells that several claim.
_MOST_WITHOUT_CELL, _MOST_SHARED = 0.02, 0.05
_WIDTH = 106


def misfit(found: Analysis) -> str | None:
    """Say what is wrong with the present levels that the proposed ones mend; None if nothing much is."""
    present, proposed = found.present, found.proposed
    if present.without_cell > max(_MOST_WITHOUT_CELL, proposed.without_cell):
        return f"{present.without_cell:.0%} of the objects would have no cell"
    shared, less = _shared(present), _shared(proposed)
    if shared > max(_MOST_SHARED, less):
        return f"{shared:.0%} of the cells would have to find several objects"
    return None


def advice(found: Analysis) -> list[str]:
    """Return the verdict: that the config fits and why, or what to change and why.

    Returns:
        At most six lines, of 110 characters unless a setting is longer; further ones of the verdict are indented.
    """
    present = found.present
    growth, wrong = needed_growth(present.sizes), misfit(found)
    smallest = f"90% of the objects measure {np.percentile(present.sizes, 10):.0f} px or more"
    numbers = (
        f"{1 - present.without_cell:.1%} of the objects get a cell, {_shared(present):.1%} of the cells have to find "
        f"several objects, {smallest}"
    )
    if growth < MUCH and wrong is None:
        lost = max(present.without_cell, _shared(present))
        verdict = "Your config fits" if lost <= _MOST_SHARED else "No other levels would fit better"
        return _wrapped(f"{verdict}: {numbers}.")
    reasons = [f"{smallest}, {MIN_PIXELS} are wanted"] if growth >= MUCH else []
    reasons += [wrong] if wrong else []
    pairs = [
        f"{key} {value}"
        for key, value in _leaves(found.settings)
        if value != _plain(_value(found.cfg, key))
    ]
    return [*_wrapped(f"Your config does not fit: {'; '.join(reasons)}. Change"), *_filled(pairs)]


def _shared(survey: Survey) -> float:
    """Return the share of the positive cells, of all levels, that several objects claim."""
    return float(survey.shared.sum() / max(survey.occupied.sum(), 1))


def _leaves(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _value(node: CfgNode, key: str) -> Any:
    for part in key.split("."):
        node = node[part]
    return node


def _plain(value: Any) -> Any:
    """Return tuples as lists, as yaml would hold them."""
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ")


def _filled(parts: list[str]) -> list[str]:
    """Lay parts out in lines without breaking any."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= _WIDTH:
            lines[-1] += f"  {part}"
        else:
            lines.append(f"  {part}")
    return lines
