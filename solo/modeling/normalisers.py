"""What the losses of a step are divided by."""

from typing import NamedTuple

from torch import Tensor


class Normalisers(NamedTuple):
    """Counts of all that makes a step, int64 scalars on the device.

    They are added up, over parts of a batch and over workers, as one tensor of shape (5,), in this order.

    Attributes:
        cells: Positive cells.
        masks: Positive pairs and negatives together.
        images: Of the batch.
        edges: Neighbours of one colour, by which boxes supervise; 0 where masks do.
        pixels: How often a pixel shows a class; 0 without the auxiliary loss of pixels.
    """

    cells: Tensor
    masks: Tensor
    images: Tensor
    edges: Tensor
    pixels: Tensor
