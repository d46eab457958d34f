"""What the graph of any model has to say of itself."""

from typing import Any

from detectron2.config import CfgNode
from torch import nn


class Traceable(nn.Module):
    """A model from an image to what it finds, in tensors whose shapes the size of the image decides.

    `forward` takes (1, 3, H, W) float32, 0 to 255, channels as INPUT.FORMAT says, H and W multiples of `divisor`,
    and returns tensors by the names of `output_names`, in that order.

    Attributes:
        model: What is wrapped.
    """

    model: Any

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what `forward` returns."""
        raise NotImplementedError

    @property
    def divisor(self) -> int:
        """What height and width of the input are multiples of."""
        divisor: int = self.model.divisor
        return divisor

    @property
    def square(self) -> bool:
        """Whether the model sees squares, padded as any image is."""
        return False

    @property
    def max_instances(self) -> int:
        """How many instances there are at most, with suppression."""
        raise NotImplementedError

    def description(self, cfg: CfgNode) -> dict[str, Any]:
        """Return what whoever runs the graph has to know of its outputs; what can be written as JSON."""
        raise NotImplementedError

    def pad_value(self, cfg: CfgNode) -> list[float]:
        """Return the colour of pixels beside the image, in the order of INPUT.FORMAT."""
        raise NotImplementedError
