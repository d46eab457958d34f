"""Random changes: to values in nested lists and dicts, and to bytes."""

import copy
import math
import random
from typing import Any

# What stands in files where something else is expected.
ODD_VALUES: tuple[Any, ...] = (
    *(None, "", "text", "0", "10", True, False, [], {}, [[]], [None], [1, 2], [[1, 2, 3, 4, 5, 6]]),
    *(math.nan, math.inf, -math.inf, -1, 0, 1, 0.5, 1e308, -1e308, 1e-320),
    *(2**31, 2**40, 2**63, -(2**63), 10**30, "\u0000", "../outside", "\ud7ff\U0001f600"),
    *({"size": [1, 1], "counts": "1"}, {"id": 1}, [0, 0, 2**40, 2**40]),
)
# Of walking no deeper into a document.
_STOP = 0.2


def change_value(tree: dict[Any, Any] | list[Any], rng: random.Random) -> None:
    """Change one value, at a random depth, in place."""
    parent, key = _pick(tree, rng)
    change = rng.choice(
        (_odd, _odd, _odd, _odd, _neighbour, _remove, _twice, _shuffled, _converted)
    )
    change(parent, key, rng)


def _pick(tree: dict[Any, Any] | list[Any], rng: random.Random) -> tuple[Any, Any]:
    """Return a container and a key of it."""
    while True:
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        value = tree[key]
        if not isinstance(value, dict | list) or not value or rng.random() < _STOP:
            return tree, key
        tree = value


def _odd(parent: Any, key: Any, rng: random.Random) -> None:
    parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))


def _neighbour(parent: Any, key: Any, rng: random.Random) -> None:
    keys = list(parent) if isinstance(parent, dict) else range(len(parent))
    other = rng.choice(keys)
    parent[key], parent[other] = parent[other], parent[key]


def _remove(parent: Any, key: Any, rng: random.Random) -> None:
    if len(parent) > 1:  # what is empty has no place for another change
        del parent[key]


def _twice(parent: Any, key: Any, rng: random.Random) -> None:
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
    else:
        parent[key] = [parent[key], copy.deepcopy(parent[key])]


def _shuffled(parent: Any, key: Any, rng: random.Random) -> None:
    value = parent[key]
    if isinstance(value, list):
        rng.shuffle(value)
    elif isinstance(value, dict):
        parent[key] = [list(pair) for pair in value.items()]
    else:
        parent[key] = [value]


def _converted(parent: Any, key: Any, rng: random.Random) -> None:
    value = parent[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        factor = rng.choice((-1, 1000, 1 / 64, 1.0))
        parent[key] = rng.choice((str(value), value * factor))
    elif isinstance(value, str):
        parent[key] = rng.choice((value.upper(), value[::-1], f" {value} ", value * 20))
    elif isinstance(value, list):
        parent[key] = rng.choice((dict(enumerate(value)), str(value), [value]))


def change_bytes(
    data: bytes, rng: random.Random, *, start: int = 0, end: int | None = None
) -> bytes:
    """Change bytes of a part, from `start` to `end`: a bit, a few of them, or how many there are."""
    end = len(data) if end is None else end
    if not 0 <= start < end <= len(data):
        return data
    place, length = rng.randrange(start, end), rng.choice((1, 1, 2, 4, 4, 8, 64))
    before, part, after = data[:place], data[place : place + length], data[place + length :]
    choice = rng.randrange(7)
    if choice <= 1:
        return before + bytes([part[0] ^ 1 << rng.randrange(8)]) + part[1:] + after
    if choice == 2:
        return before + rng.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * len(part) + after
    if choice == 3:
        return before + rng.randbytes(len(part)) + after
    if choice == 4:
        return before + after
    if choice == 5:
        return before + part * rng.choice((2, 9)) + after
    return before


def flip_bits(data: bytes, rng: random.Random, count: int) -> bytes:
    """Flip bits at random places."""
    changed = bytearray(data)
    for _ in range(count):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
