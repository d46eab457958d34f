"""CSPDarknet, the backbone of YOLOX."""

from collections.abc import Sequence

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import Backbone
from torch import Tensor, nn

from solo.errors import UserError
from solo.yolox.blocks import CSP, SPP, Units, space_to_channels

_STEM_CHANNELS = 64
# Each stage has twice the channels and half the size of the one before; the stem halves the size, too.
_STAGES = ("dark2", "dark3", "dark4", "dark5")
# CSP blocks of stages, before they are multiplied by the depth.
_DEPTHS = (3, 9, 9, 3)


class CSPDarknet(Backbone):
    """Features of strides 4 to 32, of which some are given out.

    Source:
        YOLOX (arXiv 2107.08430), section 2.1; CSPNet (arXiv 1911.11929).
    """

    def __init__(
        self,
        *,
        depth: float,
        width: float,
        unit: Units,
        out_features: Sequence[str] = _STAGES[1:],
        input_channels: int = 3,
    ) -> None:
        """Build stages up to the last one that is given out.

        Args:
            depth: Multiple of the number of bottlenecks.
            width: Multiple of the channels.
            unit: How convolutions are made.
            out_features: Of "dark2" to "dark5".
            input_channels: Of the images.
        """
        super().__init__()
        channels = int(_STEM_CHANNELS * width)
        self.stem = unit(4 * input_channels, channels, 3)
        self._out_features = list(out_features)
        self._out_feature_channels, self._out_feature_strides = {}, {}
        self.stage_names = _STAGES[: max(map(_STAGES.index, out_features)) + 1]
        for number, name in enumerate(self.stage_names):
            is_last = name == _STAGES[-1]
            inputs, channels = channels, 2 * channels
            blocks = max(round(_DEPTHS[number] * depth), 1)
            csp = CSP(channels, channels, depth=blocks, shortcut=not is_last, unit=unit)
            spp = [SPP(channels, unit)] if is_last else []
            stage = nn.Sequential(unit.conv3(inputs, channels, stride=2), *spp, csp)
            self.add_module(name, stage)
            self._out_feature_channels[name] = channels
            self._out_feature_strides[name] = 2 ** (number + 2)

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: ShapeSpec) -> "CSPDarknet":
        """Build what MODEL.YOLOX says.

        Raises:
            UserError: If it is to give out a feature that it does not have.
        """
        node = cfg.MODEL.YOLOX
        if unknown := [name for name in node.IN_FEATURES if name not in _STAGES]:
            raise UserError(
                f"MODEL.YOLOX.IN_FEATURES has {unknown[0]!r}; CSPDarknet has {', '.join(_STAGES)}."
            )
        return cls(
            depth=node.DEPTH,
            width=node.WIDTH,
            unit=Units.from_config(cfg),
            out_features=node.IN_FEATURES,
            input_channels=input_shape.channels,
        )

    @property
    def size_divisibility(self) -> int:
        """What height and width of the images are multiples of."""
        return max(self._out_feature_strides.values())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of (N, C, H, W) images by their names."""
        features = {}
        current = self.stem(space_to_channels(images))
        for name in self.stage_names:
            current = self.get_submodule(name)(current)
            features[name] = current
        return {name: features[name] for name in self._out_features}
