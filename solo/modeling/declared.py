"""What SOLO and SOLOv2 say of themselves to the rest of the program: see solo.architectures."""

from typing import Any, cast

import torch
from detectron2.config import CfgNode
from detectron2.modeling import Backbone
from detectron2.utils.registry import Registry
from torch import nn

from solo.architectures import BBOX, SEGM
from solo.config.choices import LearntFrom
from solo.modeling.box_supervision import BoxSupervision
from solo.modeling.category_loss import CategoryRule
from solo.modeling.dynamic_assignment import choose_assigner
from solo.modeling.grids import Grids
from solo.modeling.heads import SOLO_HEAD_REGISTRY, Head
from solo.modeling.mask_loss import MaskLoss
from solo.modeling.postprocessing import PostProcessor
from solo.modeling.semantic_loss import SemanticLoss
from solo.modeling.targets import TargetAssigner


class Declared:
    """What is asked of the class, without a model, and of a model's parts."""

    backbone: Backbone
    head: Head[Any]

    default_head: str  # of MODEL.SOLO.HEAD ""
    node = "SOLO"  # of MODEL, that holds the keys
    # Where MODEL.SOLO.HEAD is looked up, for those who check it. None: the model has no head of ours.
    head_registry: Registry | None = SOLO_HEAD_REGISTRY

    @classmethod
    def tasks(cls, cfg: CfgNode) -> tuple[str, ...]:
        """Return what is predicted, and evaluated."""
        return BBOX, SEGM

    @classmethod
    def needs_masks(cls, cfg: CfgNode) -> bool:
        """Return whether training needs masks."""
        return bool(cfg.MODEL.SOLO.LOSS.SUPERVISION != LearntFrom.BOX)

    @classmethod
    def head_type(cls, cfg: CfgNode) -> type[Head[Any]]:
        """Return the class of the head that MODEL.SOLO.HEAD asks for."""
        return cast(
            type[Head[Any]], SOLO_HEAD_REGISTRY.get(cfg.MODEL.SOLO.HEAD or cls.default_head)
        )

    @classmethod
    def check_keys(cls, cfg: CfgNode) -> None:
        """Raise a UserError at a key of MODEL.SOLO that makes no sense: make all rules that are no networks."""
        if cls.head_registry is None:
            return
        node, head_type = cfg.MODEL.SOLO, cls.head_type(cfg)
        head_type.check_keys(cfg)
        cls.build_assigner(cfg)
        for rule in (CategoryRule, MaskLoss, BoxSupervision):
            rule.from_config(cfg)
        SemanticLoss.from_config(cfg, int("semantic" in head_type.training_only))
        PostProcessor.from_config(cfg, Grids(node.NUM_GRIDS), tuple(node.STRIDES))

    @classmethod
    def build_assigner(cls, cfg: CfgNode) -> TargetAssigner:
        """Build what gives instances to cells, without a model: the rule that one would have.

        Raises:
            UserError: If the rules contradict themselves.
        """
        collisions = cls.head_type(cfg).default_collisions
        return choose_assigner(cfg, Grids(cfg.MODEL.SOLO.NUM_GRIDS), collisions)

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
