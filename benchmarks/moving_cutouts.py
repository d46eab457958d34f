"""Videos composed of moving cut-outs, whose objects are known: which is which, and what of each is in view.

The cut-outs are the annotated objects of a data set, and the backgrounds its images, painted over where
objects were. Legend: T frames, H, W their size.
"""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools.coco import COCO

FPS = 25
# Of a background beyond the frame on each side, for the camera to move in, as a share of the frame.
_MARGIN = 0.25
# What is hardly in view is no object: a share of it, and pixels.
_LEAST_SHARE, _LEAST_PIXELS = 0.15, 25
# Frames of which an object is hidden at a time; the longest is a second.
_HIDDEN = (4, FPS + 1)


class Piece(NamedTuple):
    """An object cut out of an image."""

    picture: np.ndarray  # (h, w, 3) uint8 BGR
    mask: np.ndarray  # (h, w) uint8, 0 or 1
    category: int  # from 0


class Scene(NamedTuple):
    """What happens in a video.

    Attributes:
        size: H and W.
        num_frames: T.
        num_objects: That move in it.
        sides: The least and the most pixels of the longer side of an object.
        shake: Pixels by which the camera moves from frame to frame, as a standard deviation.
        hidden: How often an object is hidden, for up to a second, in the video.
    """

    size: tuple[int, int] = (240, 320)
    num_frames: int = 150
    num_objects: int = 8
    sides: tuple[int, int] = (30, 80)
    shake: float = 0.0
    hidden: int = 2


class Frame(NamedTuple):
    """A frame, and what is in view: n objects."""

    picture: np.ndarray  # (H, W, 3) uint8 BGR
    masks: np.ndarray  # (n, H, W) uint8, 0 or 1, of what is in view
    shares: np.ndarray  # (n,) of each object that is in view
    ids: np.ndarray  # (n,) which object it is
    categories: np.ndarray  # (n,)


def read_pieces(annotations: Path, images: Path) -> tuple[list[Piece], list[np.ndarray]]:
    """Return the objects of a data set in COCO's format, but for those at an edge, and its backgrounds."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(annotations))
    number_of = {category: number for number, category in enumerate(sorted(coco.getCatIds()))}
    pieces, backgrounds = [], []
    for image_id, entry in sorted(coco.imgs.items()):
        picture = cv2.imread(str(images / entry["file_name"]))
        taken = np.zeros(picture.shape[:2], dtype=np.uint8)
        for annotation in coco.imgToAnns[image_id]:
            mask = coco.annToMask(annotation)
            taken |= mask
            left, top, width, height = cv2.boundingRect(mask)
            right, bottom = left + width, top + height
            inside = left and top and right < mask.shape[1] and bottom < mask.shape[0]
            if inside and min(width, height) >= 20:
                rows, columns = slice(top, bottom), slice(left, right)
                category = number_of[annotation["category_id"]]
                pieces.append(Piece(picture[rows, columns], mask[rows, columns], category))
        if taken.mean() < 0.25:
            wide = cv2.dilate(taken, np.ones((7, 7), dtype=np.uint8))
            backgrounds.append(cv2.inpaint(picture, wide, 5, cv2.INPAINT_TELEA))
    return pieces, backgrounds


def compose(
    scene: Scene, pieces: Sequence[Piece], backgrounds: Sequence[np.ndarray], seed: int
) -> list[Frame]:
    """Return the T frames of a video; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    height, width = scene.size
    margin = round(_MARGIN * min(scene.size))
    ground = _ground(backgrounds[rng.integers(len(backgrounds))], scene.size, margin)
    objects = [_Mover(scene, pieces, rng) for _ in range(scene.num_objects)]
    camera = np.zeros(2)
    frames = []
    for time in range(scene.num_frames):
        # It comes back, as a hand does.
        camera = np.clip(0.8 * camera + rng.normal(0, scene.shake, 2), -margin, margin)
        view = np.array([[1, 0, camera[0] - margin], [0, 1, camera[1] - margin]])
        picture = cv2.warpAffine(ground, view, (width, height))
        placed = [mover.place(time, camera) for mover in objects]
        frames.append(_paint(picture, placed, [mover.piece.category for mover in objects]))
    return frames


def _ground(background: np.ndarray, size: tuple[int, int], margin: int) -> np.ndarray:
    """Return a background that is larger than the frame by a margin on each side."""
    sides = np.array(size) + 2 * margin
    scale = max(sides / background.shape[:2])
    return cv2.resize(background, None, fx=scale, fy=scale)[: sides[0], : sides[1]]


class _Mover:
    """An object on a path that bends, and leads out of the frame and back; it turns and grows a little."""

    def __init__(self, scene: Scene, pieces: Sequence[Piece], rng: np.random.Generator) -> None:
        self.piece = pieces[rng.integers(len(pieces))]
        self._size = scene.size
        self._scale = rng.uniform(*scene.sides) / max(self.piece.mask.shape)
        middle = np.array(scene.size[::-1]) / 2
        self._middle = middle * rng.uniform(0.7, 1.3, 2)
        self._reach = middle * rng.uniform(0.4, 1.1, 2)
        self._turns = 2 * np.pi / rng.uniform(120, 300, 2)  # a frame, in x and y
        self._phase = rng.uniform(0, 2 * np.pi, 4)
        starts = rng.integers(0, scene.num_frames, scene.hidden)
        lengths = rng.integers(*_HIDDEN, scene.hidden)
        self._hidden = list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))

    def place(self, time: int, camera: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return its picture and its mask in a frame, None if something hides it, and its whole area."""
        if any(start <= time < end for start, end in self._hidden):
            return None
        x, y = self._middle + self._reach * np.sin(self._turns * time + self._phase[:2]) + camera
        scale = self._scale * (1 + 0.1 * np.sin(time / 30 + self._phase[2]))
        degrees = 12 * np.sin(time / 25 + self._phase[3])
        height, width = self.piece.mask.shape
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
        matrix[:, 2] += np.array([x - width / 2, y - height / 2])
        size = self._size[::-1]
        mask = cv2.warpAffine(self.piece.mask * np.uint8(255), matrix, size) > 127
        return cv2.warpAffine(self.piece.picture, matrix, size, flags=cv2.INTER_AREA), mask


def _paint(
    picture: np.ndarray,
    placed: Sequence[tuple[np.ndarray, np.ndarray] | None],
    categories: Sequence[int],
) -> Frame:
    """Paint objects one over the other."""
    labels = np.full(picture.shape[:2], -1)
    whole = {}
    for number, one in enumerate(placed):
        if one is not None:
            colors, mask = one
            picture[mask], labels[mask] = colors[mask], number
            whole[number] = np.count_nonzero(mask)
    ids, masks, shares = [], [], []
    for number, area in whole.items():
        mask = labels == number
        seen = np.count_nonzero(mask)
        if seen >= max(_LEAST_PIXELS, _LEAST_SHARE * area):
            ids.append(number)
            masks.append(mask)
            shares.append(seen / area)
    shown = np.array(masks, dtype=np.uint8).reshape(-1, *picture.shape[:2])
    return Frame(
        picture, shown, np.array(shares), np.array(ids, dtype=int), np.array(categories)[ids]
    )
