"""Ids as files have them, numbers or text: compared, ordered, and found in whichever of the two forms."""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

Identity = int | float | str
_Value = TypeVar("_Value")


def as_identity(value: Any) -> Identity | None:
    """Return an id; 7.0 is 7. None if it is none: nothing, a list, not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else value
    return value


def find_identity(known: Mapping[Identity, _Value], value: Any) -> _Value | None:
    """Return what is known by an id, which may be text where the others are numbers, or the reverse."""
    number = as_identity(value)
    if number is None:
        return None
    if number in known:
        return known[number]
    if not isinstance(number, str):
        return known.get(str(number))
    return known.get(int(number)) if re.fullmatch(r"-?[0-9]{1,40}", number) else None


def order_of(number: Identity) -> tuple[Any, ...]:
    """Return a key to sort by: numbers by their value, then texts, in which digits count as numbers."""
    if not isinstance(number, str):
        return 0, number
    parts = re.split(r"([0-9]+)", number)
    digits = [part.lstrip("0") for part in parts[1::2]]
    # A longer number is larger; texts stand at the even places, so that like meets like.
    keys: list[Any] = [None] * len(parts)
    keys[::2] = parts[::2]
    keys[1::2] = [(len(part), part) for part in digits]
    return 1, keys, number
