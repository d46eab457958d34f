"""A pyramid whose finest level is only wanted at half its size: SOLO and Decoupled SOLO halve p2 and read nothing else of it."""

from collections.abc import Sequence
from typing import Any

from detectron2.layers import Conv2d
from detectron2.modeling import FPN, Backbone
from torch import Tensor
from torch.nn import functional as F


class HalvingConv(Conv2d):
    """detectron2's, of 3 x 3, with bilinear halving after it: one convolution of 4 x 4 and stride 2.

    Halving takes the mean of 2 x 2 results, which is the result of the mean of the kernel at these four places: equal
    up to rounding, for four ninths of the work. What is learnt are the 3 x 3 weights of the checkpoint.
    """

    @property
    def kernel(self) -> Tensor:
        """The (C_out, C_in, 4, 4) weights that the 3 x 3 ones make."""
        return F.avg_pool2d(F.pad(self.weight, (1, 1, 1, 1)), 2, stride=1)

    def forward(self, features: Tensor) -> Tensor:
        """Turn (N, C_in, H, W), of even sides, into (N, C_out, H / 2, W / 2)."""
        return F.conv2d(features, self.kernel, self.bias, stride=2, padding=1)

    def keep_kernel(self) -> None:
        """Become a plain convolution of 4 x 4, which no checkpoint fits any more: for inference."""
        self.weight.data = self.kernel.detach()
        self.kernel_size, self.stride = (4, 4), (2, 2)
        self.__class__ = Conv2d


def halve_finest(backbone: Backbone, in_features: Sequence[str], strides: Sequence[int]) -> None:
    """Let a backbone return the feature of the finest level at half its size, where that costs less, in place.

    Then its `output_shape` has the stride of the level. That is so for detectron2's FPN without normalisation.

    Args:
        backbone: Any.
        in_features: Names of the features of all levels, the finest first; nothing else is read of these.
        strides: Of the levels, pixels of the input.
    """
    if type(backbone) is not FPN or not in_features or not strides:
        return
    name = in_features[0]
    conv: Any = getattr(backbone, f"fpn_output{name[1:]}", None)
    is_plain = type(conv) is Conv2d and conv.norm is None and conv.activation is None
    is_halved = backbone._out_feature_strides.get(name, 0) * 2 == strides[0]
    is_shared = in_features.count(name) > 1 or name == getattr(backbone.top_block, "in_feature", "")
    if is_plain and is_halved and not is_shared:
        conv.__class__ = HalvingConv
        backbone._out_feature_strides[name] = strides[0]
