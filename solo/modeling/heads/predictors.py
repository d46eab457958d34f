"""The last convolution of a tower: from features to logits.

Legend: N images, K classes, S cells per side.
"""

import math
from typing import cast

from torch import Tensor, nn

from solo.layers.conv import init_conv


class Predictor(nn.Conv2d):
    """A convolution from a tower to logits, which starts at the prior probability."""

    bias: nn.Parameter

    def __init__(self, in_channels: int, channels: int, kernel_size: int, prior: float) -> None:
        """Build it; `prior` is the probability that it says before training."""
        super().__init__(in_channels, channels, kernel_size, padding=kernel_size // 2)
        init_conv(self, bias=-math.log((1 - prior) / prior))


class SoftmaxPredictor(Predictor):
    """A category predictor for softmax, with one more channel, the last one, for the background.

    In training it gives the logits of the K + 1 classes; at test K log-odds, whose sigmoids are the
    probabilities: whatever comes after it is the same for both kinds of category loss.
    """

    def __init__(self, in_channels: int, num_classes: int, kernel_size: int, prior: float) -> None:
        """Build it; `prior` is the probability, before training, of all classes together."""
        super().__init__(in_channels, num_classes + 1, kernel_size, prior)
        nn.init.constant_(self.bias[:-1], math.log(prior / num_classes))
        nn.init.constant_(self.bias[-1:], math.log(1 - prior))

    def forward(self, features: Tensor) -> Tensor:
        """Turn (N, C, S, S) into (N, K + 1, S, S) logits, or at test (N, K, S, S) log-odds."""
        logits = super().forward(features)
        if self.training:
            return logits
        # As near to 0 and 1 as float32 allows: a log-odds stays finite.
        return logits.float().softmax(dim=1)[:, :-1].logit(eps=1e-7)


class Predictors(nn.ModuleList):
    """A predictor for each level."""

    def of(self, level: int) -> Predictor:
        """Return that of a level."""
        return cast(Predictor, self[level])
