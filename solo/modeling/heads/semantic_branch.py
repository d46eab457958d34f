"""An auxiliary branch of SOLOv2: which classes a pixel shows, whatever the instances. Training alone runs it.

Legend: N images, K classes, h, w size of the mask feature.
"""

from torch import Tensor, nn

from solo.layers.conv import Norm, conv_norm_relu
from solo.modeling.heads.predictors import Predictor


class SemanticBranch(nn.Module):
    """A convolution of 3x3 and one of 1x1 on the sum of levels that the mask feature is made of.

    Source:
        As CondInst (arXiv 2003.05664) and YOLACT (arXiv 1904.02689) have it, on the finest level of the pyramid.
    """

    def __init__(self, channels: int, num_classes: int, *, norm: Norm, prior: float) -> None:
        """Build the branch.

        Args:
            channels: Of the sum, and between the convolutions.
            num_classes: K.
            norm: See `conv_norm_relu`.
            prior: Probability of a class at a pixel before training.
        """
        super().__init__()
        self.conv = conv_norm_relu(channels, channels, norm=norm)
        self.predictor = Predictor(channels, num_classes, 1, prior)

    def forward(self, features: Tensor) -> Tensor:
        """Turn (N, C, h, w) into (N, K, h, w) logits."""
        logits: Tensor = self.predictor(self.conv(features))
        return logits
