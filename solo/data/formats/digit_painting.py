"""Paint handwritten digits on photographs: one image of the data set `digits` at a time."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

import cv2
import numpy as np

# Part of the folder's name: raise it when the same parameters give other images.
_FORMAT = 1
# Ink of a handwritten sample goes from 0 to 16. Above this level a pixel belongs to the stroke.
_INK_LEVEL = 6.5
# Places tried before a digit is left out; colours tried before the best of them is taken.
_TRIES = 12
# Least difference of colour between a digit and what is behind it; black and white have 255.
_CONTRAST = 85.0


@dataclass(frozen=True)
class DigitsSpec:
    """What the data set is made of; equal specs give equal images.

    Attributes:
        train_images: Number of training images.
        val_images: Number of held-out images.
        image_size: Side of the square images, in pixels.
        max_digits: Most digits painted on an image; the least is one.
        min_height: Height of the smallest digits, in pixels.
        max_height: Height of the tallest digits, in pixels.
        min_visible: Share of a digit's pixels that later digits and the border may not hide.
        seed: Of everything random.
    """

    train_images: int = 4000
    val_images: int = 200
    image_size: int = 192
    max_digits: int = 5
    min_height: int = 60
    max_height: int = 120
    min_visible: float = 0.7
    seed: int = 0

    @property
    def folder(self) -> str:
        """Name of the folder that holds this data set."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, sort_keys=True)
        return f"digits-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class Sources(NamedTuple):
    """What the images of one split are made from.

    Attributes:
        samples: Indices of the handwritten samples in scikit-learn's order, (n,).
        ink: The samples, (n, 8, 8) float32 from 0 to 16.
        labels: Their digits, (n,) from 0 to 9.
        photos: Regions of the photographs, each (height, width, 3) uint8 BGR.
    """

    samples: np.ndarray
    ink: np.ndarray
    labels: np.ndarray
    photos: list[np.ndarray]


class Painted(NamedTuple):
    """A digit on an image.

    Attributes:
        label: From 0 to 9.
        mask: Its visible pixels, (image_size, image_size) bool.
        area: Its pixels before anything hid some of them.
    """

    label: int
    mask: np.ndarray
    area: int


def compose_image(
    spec: DigitsSpec, sources: Sources, rng: np.random.Generator
) -> tuple[np.ndarray, list[Painted]]:
    """Paint digits on a crop of a photograph; everything random comes from the generator.

    Returns:
        The image, (image_size, image_size, 3) uint8 BGR, and the digits, the lowest first.
    """
    canvas = _background(spec, sources.photos, rng)
    painted: list[Painted] = []
    for _ in range(rng.integers(1, spec.max_digits, endpoint=True)):
        index = rng.integers(len(sources.ink))
        ink = enlarge(sources.ink[index], spec, rng)
        for _ in range(_TRIES):
            cover = place_sample(ink, spec, rng)
            if (covered := _cover(painted, cover, int(sources.labels[index]), ink, spec)) is None:
                continue
            painted = covered
            paint(canvas, cover, rng)
            break
    return canvas.round().astype(np.uint8), painted


def check_spec(spec: DigitsSpec) -> None:
    """Stop at a spec that makes no sense.

    Raises:
        ValueError: If counts or heights are out of range.
    """
    if min(spec.train_images, spec.val_images, spec.max_digits) < 1:
        raise ValueError(
            f"digits needs at least one image per split and one digit per image, got {spec}"
        )
    if not 8 <= spec.min_height <= spec.max_height <= spec.image_size:
        raise ValueError(
            "digits needs 8 <= min_height <= max_height <= image_size, "
            f"got {spec.min_height}, {spec.max_height} and {spec.image_size}"
        )


def _background(spec: DigitsSpec, photos: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a random crop of a photograph with random light, (size, size, 3) float32."""
    photo = photos[rng.integers(len(photos))]
    shortest = min(photo.shape[:2])
    side = int(rng.integers(round(shortest * 0.6), shortest, endpoint=True))
    top = rng.integers(photo.shape[0] - side, endpoint=True)
    left = rng.integers(photo.shape[1] - side, endpoint=True)
    crop = photo[top : top + side, left : left + side]
    crop = cv2.resize(crop, (spec.image_size, spec.image_size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return np.clip(crop * rng.uniform(0.7, 1.15) + rng.uniform(-15, 25), 0, 255).astype(np.float32)


def enlarge(ink: np.ndarray, spec: DigitsSpec, rng: np.random.Generator) -> np.ndarray:
    """Return an (8, 8) sample turned and enlarged, cropped to its strokes.

    The values are the distance from the edge of the strokes, positive inside, roughly in pixels.
    """
    height = np.exp(rng.uniform(np.log(spec.min_height), np.log(spec.max_height)))
    scale_y = height / 7.5  # the strokes fill most of the eight rows
    scale_x = scale_y * rng.uniform(0.9, 1.2)
    angle = np.deg2rad(rng.uniform(-15, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([scale_x, scale_y])
    side = int(np.ceil(12 * max(scale_x, scale_y)))
    offset = np.array([side / 2, side / 2]) - linear @ np.array([3.5, 3.5])
    matrix = np.column_stack([linear, offset])
    large = cv2.warpAffine(ink, matrix, (side, side), flags=cv2.INTER_CUBIC)
    # The cubic kernel leaves the steps of the 8 x 8 grid in slanted strokes.
    large = cv2.GaussianBlur(large, (0, 0), scale_y * 0.3)
    rows, columns = np.nonzero(large > _INK_LEVEL)
    if not len(rows):  # fainter than any sample of scikit-learn's
        return np.full((1, 1), -1, np.float32)
    large = large[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # Ink falls by about 8 levels per pixel of the 8 x 8 grid at the edge of a stroke.
    return (large - _INK_LEVEL) * (scale_y / 8)


def place_sample(ink: np.ndarray, spec: DigitsSpec, rng: np.random.Generator) -> np.ndarray:
    """Return how much of each pixel of the image a digit covers at a random place, (size, size)."""
    size = spec.image_size
    height, width = ink.shape
    # The border may hide up to an eighth of the digit on each side.
    top = int(rng.integers(-(height // 8), size - height + height // 8, endpoint=True))
    left = int(rng.integers(-(width // 8), size - width + width // 8, endpoint=True))
    cover = np.zeros((size, size), np.float32)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + height, size), min(left + width, size)
    visible = ink[y0 - top : y1 - top, x0 - left : x1 - left]
    cover[y0:y1, x0:x1] = np.clip(visible + 0.5, 0, 1)
    return cover


def _cover(
    painted: list[Painted], cover: np.ndarray, label: int, ink: np.ndarray, spec: DigitsSpec
) -> list[Painted] | None:
    """Return the digits with one more on top, or None if one of them would be hidden too much."""
    mask = cover > 0.5
    area = int((ink > 0).sum())
    result = [Painted(old.label, old.mask & ~mask, old.area) for old in painted]
    result.append(Painted(label, mask, area))
    if any(digit.mask.sum() <= spec.min_visible * digit.area for digit in result):
        return None
    return result


def paint(canvas: np.ndarray, cover: np.ndarray, rng: np.random.Generator) -> None:
    """Put a digit in one colour, lit from one side, on an image, in place."""
    rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
    box = (slice(max(rows[0] - 3, 0), rows[-1] + 4), slice(max(columns[0] - 3, 0), columns[-1] + 4))
    behind, cover = canvas[box], cover[box][:, :, None]
    near = cv2.dilate((cover > 0.5).astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    colour = _contrasting_colour(behind[near].mean(axis=0), rng)
    angle = rng.uniform(0, 2 * np.pi)
    down = np.linspace(-1, 1, cover.shape[0], dtype=np.float32)[:, None]
    right = np.linspace(-1, 1, cover.shape[1], dtype=np.float32)[None, :]
    light = 1 + np.float32(0.15 * np.cos(angle)) * right + np.float32(0.15 * np.sin(angle)) * down
    # Paint lets a little of the photograph's texture through.
    texture = np.float32(0.15) * (behind - cv2.blur(behind, (9, 9)))
    paint = np.clip(colour * light[:, :, None] + texture, 0, 255)
    canvas[box] += cover * (paint - behind)


def _contrasting_colour(behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random BGR colour, (3,), that is far from another one for a human eye."""
    colours = rng.uniform(0, 255, (_TRIES, 3)).astype(np.float32)
    difference = colours - behind
    lightness = difference @ np.array([0.114, 0.587, 0.299], np.float32)
    # The eye tells strokes apart by lightness more than by hue.
    hue = np.linalg.norm(difference - lightness[:, None], axis=1)
    distances = np.hypot(lightness, 0.5 * hue)
    far = np.flatnonzero(distances > _CONTRAST)
    return colours[far[0] if len(far) else distances.argmax()]
