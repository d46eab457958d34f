"""Labels of instances: plates in the hue of their masks, where they hide as little as can be.

H, W: the picture's size in pixels. n: the places that a label might have.
"""

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from solo.structures.box import Box
from solo.structures.cutouts import Cutout
from solo.visualization.marks import Mark
from solo.visualization.palette import Color, ink_on
from solo.visualization.text import put_text, text_coverage

_MIN_FONT_SIZE = 8
# A label that has no good place is tried in these sizes before it is left out.
_SHRINKING = (1.0, 0.85, 0.7)
_PADDING = 4
_LEAST_GAP = 2
# Costs are shares of objects that are hidden, added up. A label is left out rather than hide so much ...
_MOST_HIDDEN = 0.3
# ... and it stays where it was in the frame before unless another place is better by this.
_STEADINESS = 0.1
# Places in the order in which they are liked; each step back costs this.
_PREFERENCE = 0.002
# Of a label that stands apart from its mask, by so many of its heights, with a line that leads there.
_APART = {1.0: 0.08, 2.2: 0.16}
# From so many labels on they become smaller.
_CROWD = 40
_NOTE_COLOR = (48, 48, 48)


class Tag(NamedTuple):
    """What is to be written to an instance."""

    cutout: Cutout
    text: str
    color: Color
    number: int  # of the instance, the same in all frames of a video
    mark: Mark | None = None


class Label(NamedTuple):
    """A tag that has a place."""

    tag: Tag
    box: Box
    font_size: int
    leader: tuple[tuple[int, int], tuple[int, int]] | None  # (x, y) at the mask and at the label


def place_labels(
    tags: Sequence[Tag],
    cutouts: Sequence[Cutout],
    shape: Sequence[int],
    font_size: int | None = None,
    places: MutableMapping[int, int] | None = None,
) -> list[Label]:
    """Find a place for each label, the first ones first.

    A place costs the shares of all objects that it would hide; small objects are hidden soon. Labels never
    cover one another. What finds no place, even at a smaller size, is left out.

    Args:
        tags: The labels.
        cutouts: All objects of the picture.
        shape: Its height and width.
        font_size: In pixels; None: by the size of the picture.
        places: Which place each number had in the frame before; is brought up to date.

    Returns:
        The labels that have a place.
    """
    size = font_size or _usual_size(shape, len(tags))
    hiding = _Hiding(cutouts, shape, size)
    before, now = places or {}, {}
    labels: list[Label] = []
    for tag in tags:
        if placed := _place(tag, size, hiding, shape, before.get(tag.number)):
            label, now[tag.number] = placed
            hiding.take(label.box)
            labels.append(label)
    if places is not None:
        places.clear()
        places.update(now)
    return labels


def _usual_size(shape: Sequence[int], number: int) -> int:
    """Return the font size of so many labels, in pixels."""
    crowded = min(1.0, (_CROWD / max(number, 1)) ** 0.25)
    return int(np.clip(round(0.0165 * crowded * (shape[0] * shape[1]) ** 0.5), 11, 40))


class _Hiding:
    """How much of all objects a box would hide, looked up in sums over a coarse grid."""

    def __init__(self, cutouts: Sequence[Cutout], shape: Sequence[int], font_size: int) -> None:
        self._step = step = max(1, font_size // 5)
        shares = np.zeros((-(-shape[0] // step), -(-shape[1] // step)), dtype=np.float32)
        for cutout in cutouts:
            points = cutout.mask[-cutout.top % step :: step, -cutout.left % step :: step]
            row, column = -(-cutout.top // step), -(-cutout.left // step)
            if number := np.count_nonzero(points):
                height, width = points.shape
                shares[row : row + height, column : column + width] += points * (1 / number)
            else:  # it lies between the points of the grid
                shares[cutout.top // step, cutout.left // step] += 1
        self._sums = cv2.integral(shares)
        self._taken = np.zeros((0, 4), dtype=int)

    def cost(self, boxes: np.ndarray) -> np.ndarray:
        """Return (n,) what (n, 4) boxes hide; more than 1 where they meet a label."""
        cells = -(-boxes // self._step)
        left, top, right, bottom = cells.T
        sums = self._sums
        hidden = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        if len(self._taken):
            low = np.maximum(boxes[:, None, :2], self._taken[:, :2])
            high = np.minimum(boxes[:, None, 2:], self._taken[:, 2:])
            hidden = hidden + (low < high).all(axis=2).any(axis=1)
        return np.asarray(hidden)

    def take(self, box: Box) -> None:
        """Keep other labels off a box."""
        self._taken = np.vstack([self._taken, box])


def _place(
    tag: Tag, font_size: int, hiding: _Hiding, shape: Sequence[int], before: int | None
) -> tuple[Label, int] | None:
    """Return the label at its best place, and the number of that place; None: it has none."""
    height, width = shape[:2]
    for share in _SHRINKING:
        size = max(_MIN_FONT_SIZE, round(share * font_size))
        label_width, label_height = label_size(tag.text, size, tag.mark)
        if label_width > width or 2 * label_height > height:
            continue
        corners, anchors, penalties = _candidates(tag.cutout, label_width, label_height)
        corners = np.clip(corners, 0, (width - label_width, height - label_height))
        boxes = np.hstack([corners, corners + np.array([label_width, label_height])])
        costs = hiding.cost(boxes) + penalties
        if before is not None:
            costs[before] -= _STEADINESS
        best = int(costs.argmin())
        if costs[best] < _MOST_HIDDEN:
            box = Box(*boxes[best].tolist())
            leader = _leader(box, anchors[best], label_height)
            return Label(tag, box, size, leader), best
    return None


def label_size(text: str, font_size: int, mark: Mark | None = None) -> tuple[int, int]:
    """Return the width and the height of a label, in pixels."""
    height, width = text_coverage(text, font_size).shape
    return width + 2 * _PADDING + (height if mark else 0), height


def _candidates(
    cutout: Cutout, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the upper left corners of places, (n, 2), the points they belong to and what they cost."""
    left, top, right, bottom = cutout.box
    x_top, x_bottom, y_left, y_right = _outermost(cutout)
    corners: list[tuple[float, float]] = []
    anchors: list[tuple[float, float]] = []
    penalties: list[float] = []
    for apart, penalty in {0.0: 0.0, **_APART}.items():
        gap = max(_LEAST_GAP, height // 7) + apart * height
        above, below = top - gap - height, bottom + gap
        before, after = left - gap - width, right + gap
        near = [
            *((x_top + shift * width, above) for shift in (-0.5, -0.2, -0.8)),
            *((x_bottom + shift * width, below) for shift in (-0.5, -0.2, -0.8)),
            *((after, y_right + shift * height) for shift in (-0.5, -1.0, 0.0)),
            *((before, y_left + shift * height) for shift in (-0.5, -1.0, 0.0)),
        ]
        corners += near
        ends = ((x_top, top), (x_bottom, bottom), (right, y_right), (left, y_left))
        anchors += [end for end in ends for _ in range(3)]
        penalties += [penalty + _PREFERENCE * index for index in range(len(near))]
    middle = ((left + right) / 2, (top + bottom) / 2)
    inside = [
        (middle[0] - width / 2, y - height / 2) for y in (middle[1], top + height, bottom - height)
    ]
    corners += inside
    anchors += [middle] * len(inside)
    penalties += [_PREFERENCE * len(near)] * len(inside)
    return np.rint(corners).astype(int), np.rint(anchors).astype(int), np.array(penalties)


def _outermost(cutout: Cutout) -> tuple[float, float, float, float]:
    """Return x of the highest and the lowest part of a mask, and y of its left and right parts."""
    mask = cutout.mask
    height, width = mask.shape
    # Parts of some depth: their middle does not jump from frame to frame.
    rows, columns = max(1, height // 8), max(1, width // 8)
    across = (mask[:rows].any(axis=0), mask[-rows:].any(axis=0))
    down = (mask[:, :columns].any(axis=1), mask[:, -columns:].any(axis=1))
    x_top, x_bottom = (cutout.left + float(np.flatnonzero(line).mean()) + 0.5 for line in across)
    y_left, y_right = (cutout.top + float(np.flatnonzero(line).mean()) + 0.5 for line in down)
    return x_top, x_bottom, y_left, y_right


def _leader(
    box: Box, anchor: np.ndarray, height: int
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the line from a mask to its label; None where they are side by side."""
    x, y = anchor.tolist()
    end = (min(max(x, box.left), box.right - 1), min(max(y, box.top), box.bottom - 1))
    return ((x, y), end) if max(abs(x - end[0]), abs(y - end[1])) > 0.7 * height else None


def draw_label(canvas: np.ndarray, label: Label) -> None:
    """Draw a label's plate on a picture, in place."""
    tag = label.tag
    plate, shape = _plate(tag.text, label.font_size, tag.color, tag.mark)
    cv2.copyTo(plate, shape, canvas[label.box.slices])


def draw_leader(canvas: np.ndarray, label: Label, thickness: int) -> None:
    """Draw the line from a mask to its label, if it has one, on a picture, in place."""
    if label.leader:
        color = label.tag.color
        cv2.line(canvas, *label.leader, color, thickness, cv2.LINE_AA)
        cv2.circle(canvas, label.leader[0], thickness + 1, color, cv2.FILLED, cv2.LINE_AA)


def draw_note(canvas: np.ndarray, text: str) -> None:
    """Write a line into the lower left corner of a picture, in place; where it is too small for it, nothing."""
    size = _usual_size(canvas.shape, _CROWD)
    plate, shape = _plate(text, size, _NOTE_COLOR, None)
    height, width = shape.shape
    if 2 * width <= canvas.shape[1] and 6 * height <= canvas.shape[0]:
        cv2.copyTo(
            plate, shape, canvas[-height - _PADDING : -_PADDING, _PADDING : _PADDING + width]
        )


# A video repeats nearly all of its labels.
@lru_cache(maxsize=1024)
def _plate(
    text: str, font_size: int, color: Color, mark: Mark | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture of a label, (h, w, 3), and which of its pixels there are: not its corners."""
    width, height = label_size(text, font_size, mark)
    plate = np.full((height, width, 3), color, dtype=np.uint8)
    start = _PADDING
    if mark:
        sign, ground = mark.value.sign, mark.value.color
        plate[:, :height] = ground
        plate[:, height - 1] = (255, 255, 255)
        sign_width = text_coverage(sign, font_size, True).shape[1]
        x = (height - 1 - sign_width) // 2
        put_text(plate, sign, x, 0, size=font_size, color=(255, 255, 255), bold=True)
        start += height
    put_text(plate, text, start, 0, size=font_size, color=ink_on(color))
    return plate, _rounded(width, height)


def _rounded(width: int, height: int) -> np.ndarray:
    radius = max(1, round(height / 6))
    x, y = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5 for n in (width, height))
    dx, dy = np.maximum(radius - x, 0), np.maximum(radius - y, 0)
    return (np.hypot(dx[None], dy[:, None]) <= radius).astype(np.uint8)
