"""What a detector with known faults finds in a composed video."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from detectron2.structures import Boxes, Instances
from moving_cutouts import Frame


class Noise(NamedTuple):
    """How detections differ from what is in view: probabilities, of each object and frame."""

    edge: float = 1.0  # pixels by which an edge is off, as a standard deviation
    missed: float = 0.05
    gap: float = 0.01  # of a gap of 2 to 10 frames
    wrong_class: float = 0.02
    ghosts: float = 0.2  # things that are not there, in a frame


def detect(frames: Sequence[Frame], noise: Noise, num_classes: int, seed: int) -> list[Instances]:
    """Return what a detector with this noise finds."""
    rng = np.random.default_rng(seed)
    blind: dict[int, int] = {}  # until when each object is in a gap
    found = []
    for moment, frame in enumerate(frames):
        masks, scores, classes = [], [], []
        rows = zip(frame.ids.tolist(), frame.masks, frame.shares, frame.categories, strict=True)
        for number, mask, share, category in rows:
            if rng.random() < noise.gap:
                blind[number] = moment + int(rng.integers(2, 11))
            missed = rng.random() < noise.missed or moment < blind.get(number, 0)
            seen = _with_edges_off(mask, noise.edge, rng)
            score = np.clip(0.9 * share**0.7 + rng.normal(0, 0.1), 0.02, 0.99)
            wrong = rng.random() < noise.wrong_class
            if not missed and seen.any():
                masks.append(seen)
                scores.append(score)
                classes.append(rng.integers(num_classes) if wrong else category)
        for _ in range(rng.poisson(noise.ghosts)):
            masks.append(_ghost(frame.picture.shape[:2], rng))
            scores.append(rng.uniform(0.1, 0.8))
            classes.append(rng.integers(num_classes))
        found.append(_instances(masks, scores, classes, frame.picture.shape[:2]))
    return found


def _with_edges_off(mask: np.ndarray, pixels: float, rng: np.random.Generator) -> np.ndarray:
    x, y, grown = rng.normal(0, pixels, 3)
    matrix = np.array([[1, 0, x], [0, 1, y]])
    moved = cv2.warpAffine(mask, matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST)
    kernel = np.ones((3, 3), dtype=np.uint8)
    change = cv2.dilate if grown > 0 else cv2.erode
    return change(moved, kernel, iterations=round(abs(grown)))


def _ghost(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(size, dtype=np.uint8)
    middle = (int(rng.integers(size[1])), int(rng.integers(size[0])))
    axes = (int(rng.integers(8, 30)), int(rng.integers(8, 30)))
    return cv2.ellipse(mask, middle, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)


def _instances(
    masks: Sequence[np.ndarray],
    scores: Sequence[float],
    classes: Sequence[int],
    size: tuple[int, int],
) -> Instances:
    """Make instances, the best first, as a model lists them."""
    order = np.argsort(-np.array(scores)).tolist()
    found = Instances(size)
    stacked = np.array([masks[row] for row in order], dtype=bool).reshape(-1, *size)
    found.pred_masks = torch.from_numpy(stacked)
    found.scores = torch.tensor([scores[row] for row in order], dtype=torch.float32)
    found.pred_classes = torch.tensor([int(classes[row]) for row in order], dtype=torch.int64)
    boxes = [cv2.boundingRect(mask.astype(np.uint8)) for mask in stacked]
    tensor = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in boxes], dtype=torch.float32)
    found.pred_boxes = Boxes(tensor.reshape(-1, 4))
    return found
