"""What a network makes of a batch, for targets that depend on it."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Decoder = Callable[[Tensor], Tensor]
"""Turns (U,) cell numbers of an image, on the CPU, into (U, h, w) soft masks; see `Head.decoder`."""


# Pixels of soft masks that training decodes at a time where memory counts (8 MB).
_PIXELS_AT_A_TIME = 1 << 21


def decoded_at_a_time(cells: Tensor, pixels: int) -> tuple[Tensor, ...]:
    """Split cells, or pairs, whose masks have so many pixels into what is decoded at a time."""
    return cells.split(max(_PIXELS_AT_A_TIME // pixels, 1))


class Predictions(NamedTuple):
    """What a network makes of N images.

    Attributes:
        logits: (N, C, K) of the categories of all cells; of softmax with one more, the background's.
        decoder: Turns an image and a size (h, w) into what decodes its soft masks at this size.
        stride: Pixels of the input per pixel of the finest soft masks that the head makes.
    """

    logits: Tensor
    decoder: Callable[[int, tuple[int, int]], Decoder]
    stride: int
