"""What all heads are built from, and how a config says it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec

from solo.config.choices import CategoryLoss, LearntFrom, Recompute
from solo.errors import UserError
from solo.layers.conv import Deform, Norm
from solo.layers.coordinates import Encoding


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The levels, the towers and the classes of a head.

    Attributes:
        in_channels: Channels of the features.
        num_classes: K.
        num_convs: Convolutions of each tower.
        conv_dim: Their channels.
        norm: See `conv_norm_relu`.
        prior_prob: Foreground probability before training.
        in_features: Name of the feature of each level.
        in_strides: Stride of that feature, in pixels of the input.
        strides: Stride it is resized to.
        num_grids: Cells per side, S, of each level.
        deform: Which convolutions of the towers are deformable.
        recompute: What training computes again in the towers; see `conv_tower`.
        category: What the category logits are.
        encoding: In which features branches that want coordinates are told them.
        quality: Whether a branch says how well masks fit.
    """

    in_channels: int
    num_classes: int
    num_convs: int
    conv_dim: int
    norm: Norm
    prior_prob: float
    in_features: Sequence[str]
    in_strides: Sequence[int]
    strides: Sequence[int]
    num_grids: Sequence[int]
    deform: Deform = field(default_factory=Deform)
    recompute: Recompute = Recompute.NONE
    category: CategoryLoss = CategoryLoss.FOCAL
    encoding: Encoding = field(default_factory=Encoding)
    quality: bool = False

    def __post_init__(self) -> None:
        """Refuse lists of different lengths."""
        if not len(self.in_features) == len(self.strides) == len(self.num_grids):
            raise UserError(
                f"MODEL.SOLO has {len(self.in_features)} IN_FEATURES, {len(self.strides)} STRIDES and "
                f"{len(self.num_grids)} NUM_GRIDS; give one of each per level."
            )

    @classmethod
    def from_config(
        cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec], more_features: Sequence[str] = ()
    ) -> "HeadConfig":
        """Read MODEL.SOLO.

        Args:
            cfg: The config.
            input_shape: What the backbone makes.
            more_features: Features that the head takes beyond those of the levels.

        Raises:
            UserError: If a feature is not among those the backbone makes, they differ in channels,
                the number of classes is not known, or a quality branch has nothing to learn from.
        """
        node = cfg.MODEL.SOLO
        in_channels = _channels(input_shape, {*node.IN_FEATURES, *more_features})
        if node.NUM_CLASSES < 1:
            raise UserError(
                "MODEL.SOLO.NUM_CLASSES is 0: set it, or let solo.data.resolve_num_classes(cfg) take it "
                "from the data set."
            )
        return cls(
            in_channels=in_channels,
            num_classes=node.NUM_CLASSES,
            num_convs=node.NUM_CONVS,
            conv_dim=node.CONV_DIM,
            norm=node.NORM,
            prior_prob=node.PRIOR_PROB,
            in_features=node.IN_FEATURES,
            in_strides=[input_shape[name].stride for name in node.IN_FEATURES],
            strides=node.STRIDES,
            num_grids=node.NUM_GRIDS,
            deform=Deform(node.DEFORM_CONVS, node.DEFORM_MODULATED),
            recompute=node.RECOMPUTE,
            category=node.LOSS.CATEGORY,
            encoding=Encoding(node.COORDINATES, node.COORDINATE_OCTAVES),
            quality=wants_quality(node),
        )


def wants_quality(node: CfgNode) -> bool:
    """Return whether MODEL.SOLO asks for a quality branch.

    Raises:
        UserError: If there is nothing that it could learn from, or its loss has a weight below 0.
    """
    enabled: bool = node.QUALITY.ENABLED
    if node.QUALITY.WEIGHT < 0:
        raise UserError(
            f"MODEL.SOLO.QUALITY.WEIGHT is {node.QUALITY.WEIGHT}; give the weight of a loss, or 0."
        )
    if enabled and node.LOSS.SUPERVISION == LearntFrom.BOX:
        raise UserError(
            "MODEL.SOLO.QUALITY.ENABLED is True, but how well a mask fits is not known with "
            'MODEL.SOLO.LOSS.SUPERVISION "box": set one of the two back.'
        )
    return enabled


def _channels(input_shape: dict[str, ShapeSpec], wanted: set[str]) -> int:
    """Return the channels of the features that are wanted, which are to have the same number."""
    if not wanted:
        raise UserError("MODEL.SOLO.IN_FEATURES is empty: give a feature per level, such as p2.")
    if unknown := sorted(wanted - set(input_shape)):
        raise UserError(
            f"MODEL.SOLO asks for the features {unknown}; the backbone makes {sorted(input_shape)}."
        )
    channels: set[int] = {input_shape[name].channels for name in wanted}
    if len(channels) > 1:
        raise UserError(f"The features {sorted(wanted)} have {sorted(channels)} channels, not one.")
    return channels.pop()
