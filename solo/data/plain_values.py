"""Single values of a file of annotations, which may be written as text, or be anything else."""

import math
import os
from pathlib import Path
from typing import Any

from solo.data.findings import shown

# Pixels: no image is that large, and no drawing survives what lies further out.
FARTHEST = 2**31
# Of an image: pycocotools counts them in 32 bits.
MOST_PIXELS = 2**31 - 1
_CROWD = {0: 0, 1: 1, "0": 0, "1": 1, None: 0}


def file_name_of(value: Any) -> str:
    """Return the name of a file; empty if no file can have it."""
    if not isinstance(value, str) or "\0" in value:
        return ""
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return ""
    return value


def with_slashes(name: str, root: Path | str) -> str:
    """Return the name of a file below a folder with slashes, if it has backslashes and is not there so."""
    if "\\" not in name or os.path.exists(os.path.join(root, name)):
        return name
    return name.replace("\\", "/")


def number_of(value: Any) -> float | None:
    """Return a number, which may be written as text; None if it is none, or not of this world."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 2**62 else None


def side_of(value: Any) -> int:
    """Return a side of an image in pixels; 0 if it is none."""
    number = None if isinstance(value, bool) else number_of(value)
    return int(number) if number and number > 0 and number.is_integer() else 0


def size_of(segmentation: Any) -> tuple[int, int] | None:
    """Return the (H, W) that an RLE mask says it has; None if it says none."""
    size = segmentation.get("size") if isinstance(segmentation, dict) else None
    if not isinstance(size, list | tuple) or len(size) != 2:
        return None
    height, width = map(side_of, size)
    return (height, width) if height and width else None


def crowd_of(value: Any) -> int | None:
    """Return 0 or 1; None if it is neither."""
    try:
        return _CROWD.get(value)
    except TypeError:
        return None


def box_of(value: Any) -> list[float] | None:
    """Return [x, y, width, height], which may be written as text; None if it is no box."""
    try:
        x, y, width, height = value
        near = -FARTHEST < x < FARTHEST and -FARTHEST < y < FARTHEST
        if near and 0 < width < FARTHEST and 0 < height < FARTHEST:
            return [x, y, width, height]
    except (TypeError, ValueError):
        pass
    numbers = _numbers(value)
    return (
        box_of(numbers) if len(numbers) == 4 and None not in numbers and numbers != value else None
    )


def problem_of_box(value: Any) -> str:
    """Say why a value is no box."""
    numbers = _numbers(value)
    if len(numbers) != 4 or None in numbers:
        return f"its bbox is {shown(value)}"
    return f"its box has the sides {numbers[2]:g} and {numbers[3]:g}"


def _numbers(value: Any) -> list[float | None]:
    return [number_of(one) for one in value] if isinstance(value, list | tuple) else []
