"""SOLOv2: every cell predicts the kernel that cuts its mask out of one shared mask feature.

Legend: N images, K classes, S cells per side, E kernel weights, C cells of all levels, P chosen cells.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from torch import Tensor, nn

from solo.config.choices import Collisions, Products
from solo.errors import UserError
from solo.layers import cpu
from solo.layers.conv import init_conv
from solo.layers.masks import probabilities_and_logits, resize_soft_masks
from solo.layers.transfer import to_device
from solo.modeling.heads.base import SOLO_HEAD_REGISTRY, Head, HeadOutputs, resize
from solo.modeling.heads.head_config import HeadConfig
from solo.modeling.heads.mask_feature import MaskFeatureBranch, decode, decode_logits
from solo.modeling.heads.semantic_branch import SemanticBranch


class DynamicMasks(NamedTuple):
    """What masks are decoded from.

    Attributes:
        kernels: Per image, (C, E) of all cells.
        feature: Per image, (E', h, w), E' channels of the mask feature.
    """

    kernels: Sequence[Tensor]
    feature: Sequence[Tensor]


@SOLO_HEAD_REGISTRY.register()
class SOLOv2Head(Head[DynamicMasks]):
    """Category branch, kernel branch and mask feature.

    Source:
        SOLOv2 section 3.2.
    """

    default_collisions = Collisions.ALL
    training_only = ("semantic",)
    has_quality_branch = True

    @configurable
    def __init__(
        self,
        config: HeadConfig,
        *,
        kernel_size: int,
        mask_feature: MaskFeatureBranch,
        mask_feature_stride: int,
        mask_feature_dim: int,
        semantic: Callable[[], SemanticBranch] | None = None,
        products: Products = Products.AUTO,
    ) -> None:
        """Build the branches.

        Args:
            config: What all heads are built from.
            kernel_size: Side k of the dynamic kernels.
            mask_feature: The branch that makes the mask feature.
            mask_feature_stride: Its stride.
            mask_feature_dim: Its channels; a dynamic kernel has that times k * k weights.
            semantic: Makes an auxiliary branch on what the mask feature is made of.
            products: MODEL.CPU.PRODUCTS.
        """
        super().__init__(config)
        self.kernel_tower = self._tower(more_channels=config.encoding.channels())
        self.category_predictor = self._category_predictor()
        num_weights = mask_feature_dim * kernel_size**2
        # No prior: a kernel is no probability.
        self.kernel_predictor = nn.Conv2d(config.conv_dim, num_weights, 3, padding=1)
        init_conv(self.kernel_predictor)
        self.mask_feature = mask_feature
        self._mask_stride = mask_feature_stride
        self._kernel_size = kernel_size
        self._products = cpu.product_kernel(products)
        self.quality_predictor = self._quality_predictor()
        # Last: all else starts as it does without it.
        self.semantic = semantic() if semantic else None

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        """Return the arguments of the constructor; for what it raises see :meth:`check_keys`."""
        cls.check_keys(cfg)
        node = cfg.MODEL.SOLO
        names = node.MASK_FEATURE.IN_FEATURES
        config = HeadConfig.from_config(cfg, input_shape, names)
        mask_feature = MaskFeatureBranch(
            in_features=names,
            in_channels=config.in_channels,
            conv_dim=node.MASK_FEATURE.CONV_DIM,
            out_channels=node.MASK_FEATURE.DIM,
            norm=node.MASK_FEATURE.NORM,
            encoding=config.encoding,
            deformable=node.MASK_FEATURE.DEFORM,
            modulated=node.DEFORM_MODULATED,
            upsample=node.MASK_FEATURE.UPSAMPLE,
        )
        semantic = None
        if node.LOSS.SEMANTIC_WEIGHT:
            semantic = partial(
                SemanticBranch,
                node.MASK_FEATURE.CONV_DIM,
                config.num_classes,
                norm=node.MASK_FEATURE.NORM,
                prior=config.prior_prob,
            )
        return {
            "config": config,
            "kernel_size": node.KERNEL_SIZE,
            "mask_feature": mask_feature,
            "mask_feature_stride": input_shape[names[0]].stride // mask_feature.upsample,
            "mask_feature_dim": node.MASK_FEATURE.DIM,
            "semantic": semantic,
            "products": cfg.MODEL.CPU.PRODUCTS,
        }

    @classmethod
    def check_keys(cls, cfg: CfgNode) -> None:
        """Look at the keys of the mask feature, too; see `Head.check_keys`."""
        super().check_keys(cfg)
        upsample = cfg.MODEL.SOLO.MASK_FEATURE.UPSAMPLE
        if upsample not in (1, 2):
            raise UserError(f"MODEL.SOLO.MASK_FEATURE.UPSAMPLE is {upsample}; give 1 or 2.")

    @property
    def features_read(self) -> set[str]:
        """Those of the levels and of the mask feature."""
        return {*self.in_features, *self.mask_feature.in_features}

    @property
    def mask_strides(self) -> tuple[int, ...]:
        """The mask feature serves all levels."""
        return (self._mask_stride,) * self.grids.num_levels

    @property
    def semantic_stride(self) -> int:
        """That of what the mask feature is made of; see `Head.semantic_stride`."""
        return self._mask_stride * self.mask_feature.upsample if self.semantic else 0

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """The predictors of cells and of pixels; see `Head.category_parameters`."""
        predictors = [
            self.category_predictor,
            *([self.semantic.predictor] if self.semantic else []),
        ]
        return [row for predictor in predictors for row in predictor.parameters()]

    def take_up(self, weights: dict[str, Tensor]) -> None:
        """Let each pixel of a finer mask feature begin as that which it is a part of, too; see `Head.take_up`."""
        super().take_up(weights)
        parts, prefix = self.mask_feature.upsample**2, "mask_feature.predictor."
        for name, own in self.mask_feature.predictor.state_dict().items():
            given = weights.get(prefix + name)
            if given is None or not given.ndim:
                continue
            if own.shape == (parts * len(given), *given.shape[1:]):
                weights[prefix + name] = given.repeat_interleave(parts, dim=0)

    def forward(self, features: dict[str, Tensor]) -> HeadOutputs[DynamicMasks]:
        """Run the branches; see `Head.forward`."""
        category_logits: list[Tensor] = []
        kernels: list[Tensor] = []
        quality_logits: list[Tensor] = []
        for feature, side in zip(self.level_features(features), self.grids.sides, strict=True):
            grid = resize(self.config.encoding.append(feature), (side, side))
            # The category does not depend on the place: its tower sees no coordinates.
            plain = grid[:, : self.config.in_channels]
            category_logits.append(self.category_predictor(self.category_tower(plain)))
            cells = self.kernel_tower(grid)
            kernels.append(self.kernel_predictor(cells).flatten(2))
            # How well a mask fits depends on what the kernel does: on the place, too.
            quality_logits += self._quality_logits(cells)
        # One by one: the gradient of an index would be as large as that of all images.
        mask_feature, semantic = self._mask_feature(features)
        masks = DynamicMasks(torch.cat(kernels, dim=2).mT.unbind(), mask_feature.unbind())
        return HeadOutputs(category_logits, masks, quality_logits, semantic)

    def _mask_feature(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Return the mask feature, and in training the logits of pixels, if there are any."""
        if self.semantic is None or not self.training:
            return self.mask_feature(features), None
        total = self.mask_feature.add_levels(features)
        return self.mask_feature.predict(total), self.semantic(total)

    def soft_masks(
        self, masks: DynamicMasks, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Decode the masks of chosen cells; see `Head.soft_masks`."""
        soft = decode(*self._factors(masks, image, cells))
        return resize_soft_masks(soft, size) if size else soft

    def soft_masks_and_logits(
        self, masks: DynamicMasks, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode the masks of chosen cells; see `Head.soft_masks_and_logits`."""
        logits = decode_logits(*self._factors(masks, image, cells))
        logits = logits.view(len(cells), *masks.feature[image].shape[1:])
        soft, logits = probabilities_and_logits(logits)
        if size:
            return resize_soft_masks(soft, size), resize_soft_masks(logits, size)
        return soft, logits

    def logit_decoder(
        self, masks: DynamicMasks, image: int
    ) -> Callable[[Tensor], tuple[Tensor]] | None:
        """Return what decodes logits; see `Head.logit_decoder`."""
        frame = masks.feature[image].shape[1:]
        return lambda cells: (
            decode_logits(*self._factors(masks, image, cells)).view(len(cells), *frame),
        )

    def _factors(
        self, masks: DynamicMasks, image: int, cells: Tensor
    ) -> tuple[Tensor, Tensor, int, Products]:
        """Return the arguments of `decode`."""
        kernels = masks.kernels[image]
        kernels = kernels[to_device(cells, kernels.device)]
        return masks.feature[image], kernels, self._kernel_size, self._products
