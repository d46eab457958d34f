"""What SOLO and SOLOv2 say of themselves to the rest of the program: see solo.architectures."""

from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.modeling import Backbone
from torch import nn

from solo.architectures import BBOX, SEGM
from solo.config.choices import LearntFrom
from solo.modeling.dynamic_assignment import choose_assigner
from solo.modeling.grids import Grids
from solo.modeling.heads import SOLO_HEAD_REGISTRY, Head
from solo.modeling.targets import TargetAssigner


class Declared:
    """What is asked of the class, without a model, and of a model's parts."""

    backbone: Backbone
    head: Head[Any]

    default_head: str  # of MODEL.SOLO.HEAD ""
    node = "SOLO"  # of MODEL, that holds the keys
    head_registry = SOLO_HEAD_REGISTRY  # where MODEL.SOLO.HEAD is looked up, for those who check it

    @classmethod
    def tasks(cls, cfg: CfgNode) -> tuple[str, ...]:
        """Return what is predicted, and evaluated."""
        return BBOX, SEGM

    @classmethod
    def needs_masks(cls, cfg: CfgNode) -> bool:
        """Return whether training needs masks."""
        return bool(cfg.MODEL.SOLO.LOSS.SUPERVISION != LearntFrom.BOX)

    @classmethod
    def build_assigner(cls, cfg: CfgNode) -> TargetAssigner:
        """Build what gives instances to cells, without a model: the rule that one would have.

        Raises:
            UserError: If the rules contradict themselves.
        """
        node = cfg.MODEL.SOLO
        head_type = SOLO_HEAD_REGISTRY.get(node.HEAD or cls.default_head)
        return choose_assigner(cfg, Grids(node.NUM_GRIDS), head_type.default_collisions)

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """What has a row per class; see `Head.category_parameters`."""
        return self.head.category_parameters

    @property
    def training_only(self) -> tuple[str, ...]:
        """How names of weights begin that only training needs; see `Head.training_only`."""
        return tuple(f"head.{name}." for name in self.head.training_only)

    @property
    def may_start_fresh(self) -> dict[str, str]:
        """How names of weights begin that a training may begin without; see `Head.may_start_fresh`."""
        return {f"head.{name}.": key for name, key in self.head.may_start_fresh.items()}

    def take_up(self, weights: dict[str, Any]) -> None:
        """Bring weights of a model with a plainer head to the shapes of this one, in place; see `Head.take_up`."""
        prefix = "head."
        given = {
            name.removeprefix(prefix): torch.as_tensor(value)
            for name, value in weights.items()
            if name.startswith(prefix)
        }
        self.head.take_up(given)
        weights.update({prefix + name: value for name, value in given.items()})

    @property
    def has_unread_features(self) -> bool:
        """Whether the backbone makes features that the head does not look at."""
        return not self.backbone.output_shape().keys() <= self.head.features_read
