"""mmdetection 3.3.0 as an oracle: its own heads, and ours with the same weights and settings."""

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import to_mmdet_truth

# isort: split

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from detectron2.structures import Boxes, Instances
from mmdet.models import dense_heads
from mmengine.config import ConfigDict
from torch.nn import functional as F

from solo.checkpoint.lineages import to_solo
from solo.modeling.postprocessing import ImageSize
from tests.conftest import build, make_cfg

LEVELS = {"p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64}
STRIDES = [8, 8, 16, 32, 32]
CHANNELS = 32


class Variant(NamedTuple):
    """Our model in tests/conftest.py, mmdet's head, and which convolutions are deformable."""

    ours: str
    theirs: str
    deform: str = "none"
    dcn: str = ""


VARIANTS = {
    "solo": Variant("SOLO", "SOLOHead"),
    "decoupled": Variant("DecoupledSOLO", "DecoupledSOLOHead"),
    "decoupled_light": Variant("DecoupledSOLOLight", "DecoupledSOLOLightHead"),
    "decoupled_light_dcn": Variant("DecoupledSOLOLight", "DecoupledSOLOLightHead", "last", "DCN"),
    "solov2": Variant("SOLOv2", "SOLOV2Head"),
    "solov2_light": Variant("SOLOv2", "SOLOV2Head"),
    "solov2_dcn": Variant("SOLOv2", "SOLOV2Head", "all", "DCNv2"),
}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Settings that both heads get, and the random inputs they are drawn with."""

    variant: str
    seed: int
    num_classes: int
    num_convs: int
    conv_dim: int
    mask_dims: tuple[int, int]
    num_grids: tuple[int, ...]
    scale_ranges: tuple[tuple[int, int], ...]
    sigma: float
    padded: tuple[int, int]
    resized: tuple[tuple[int, int], ...]
    original: tuple[tuple[int, int], ...]
    nms_kernel: str
    nms_sigma: float
    pre_nms_topk: int
    max_instances: int

    @property
    def names(self):
        return VARIANTS[self.variant]

    @property
    def is_solov2(self):
        return self.variant.startswith("solov2")

    @property
    def sizes(self):
        frames = zip(self.resized, self.original, strict=True)
        return [ImageSize(self.padded, resized, original) for resized, original in frames]


SMALL = {
    "num_classes": 4,
    "num_convs": 2,
    "conv_dim": 32,
    "mask_dims": (32, 64),
    "num_grids": (10, 9, 7, 5, 4),
    "scale_ranges": ((1, 24), (12, 48), (24, 96), (48, 192), (96, 512)),
    "sigma": 0.2,
    "padded": (128, 160),
    "resized": ((128, 160), (103, 151)),
    "original": ((160, 200), (131, 190)),
    "nms_kernel": "gaussian",
    "nms_sigma": 2.0,
    "pre_nms_topk": 500,
    "max_instances": 500,
}
LARGE = {
    "num_classes": 7,
    "num_convs": 3,
    "conv_dim": 64,
    "mask_dims": (64, 32),
    "num_grids": (16, 12, 9, 6, 3),
    "scale_ranges": ((1, 40), (20, 64), (32, 128), (64, 160), (100, 640)),
    "sigma": 0.5,
    "padded": (192, 160),
    "resized": ((185, 139), (192, 150), (161, 160)),
    "original": ((370, 278), (96, 75), (200, 203)),
    "nms_kernel": "linear",
    "nms_sigma": 0.5,
    "pre_nms_topk": 60,
    "max_instances": 20,
}
# The light heads have other depths and widths than their models.
_LIGHT = {"num_convs": 1, "mask_dims": (32, 32)}


def setups(variant, seed):
    """Two settings of a variant that differ in everything."""
    light = _LIGHT if variant == "solov2_light" else {}
    return [
        Setup(variant=variant, seed=seed, **{**SMALL, **light}),
        Setup(variant=variant, seed=seed + 1, **{**LARGE, **light}),
    ]


class Pair:
    """The two heads with the same weights, on the same features and annotations."""

    def __init__(self, setup):
        self.setup = setup
        self.generator = torch.Generator().manual_seed(setup.seed)
        self.theirs = build_mmdet_head(setup)
        draw_weights(self.theirs, self.generator)
        self.ours = build_our_model(setup)
        named = {f"mask_head.{key}": value for key, value in self.theirs.state_dict().items()}
        self.converted = to_solo(named).weights
        self.ours.load_state_dict(self.converted, strict=False)
        height, width = setup.padded
        self.features = {
            name: self._normal(
                len(setup.resized), CHANNELS, math.ceil(height / s), math.ceil(width / s)
            )
            for name, s in LEVELS.items()
        }
        self.truth = [self._instances(size) for size in setup.resized]

    @property
    def our_features(self):
        """The same, as our backbone hands them out: what our head would halve comes halved."""
        stride = self.ours.backbone.output_shape()["p2"].stride
        p2 = F.avg_pool2d(self.features["p2"], stride // LEVELS["p2"])
        return {**self.features, "p2": p2}

    def _normal(self, *shape):
        return torch.randn(*shape, generator=self.generator)

    def _uniform(self, count, low, high):
        return low + (high - low) * torch.rand(count, generator=self.generator)

    def _instances(self, size, count=9):
        """Ellipses of all sizes, which overlap, one of them empty; boxes are not quite tight."""
        height, width = size
        instances = Instances(size)
        radius = torch.stack(
            [self._uniform(count, 3, height / 2), self._uniform(count, 3, width / 2)]
        )
        center = torch.stack(
            [self._uniform(count, 4, height - 4), self._uniform(count, 4, width - 4)]
        )
        y = (torch.arange(height).view(1, -1, 1) - center[0].view(-1, 1, 1)) / radius[0].view(
            -1, 1, 1
        )
        x = (torch.arange(width).view(1, 1, -1) - center[1].view(-1, 1, 1)) / radius[1].view(
            -1, 1, 1
        )
        masks = y.square() + x.square() < 1
        masks[2] = False
        low, high = center - radius, center + radius
        boxes = torch.stack([low[1], low[0], high[1], high[0]], dim=1)
        instances.gt_boxes = Boxes(boxes.clamp(min=0))
        instances.gt_boxes.clip(size)
        classes = torch.randint(self.setup.num_classes, (count,), generator=self.generator)
        instances.gt_classes = classes
        instances.gt_masks = masks
        return instances

    def mmdet_truth(self):
        """The annotations as mmdet wants them, the masks padded as its data preprocessor does."""
        return [to_mmdet_truth(instances, self.setup.padded) for instances in self.truth]

    def mmdet_metas(self):
        return [{"img_shape": s.resized, "ori_shape": s.original} for s in self.setup.sizes]


def draw_weights(model, generator, category_bias=-2.5):
    """Spread the outputs of a head or a detector of mmdet's: some pass the thresholds, some do not."""
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 4:
            drawn *= (2 / parameter[0].numel()) ** 0.5 * (2.0 if "mask_list" in name else 1.0)
        elif name.endswith("weight"):
            # The end of a residual branch is small, or deep backbones explode.
            drawn = (0.3 if name.endswith("bn3.weight") else 1.0) * (1 + 0.1 * drawn)
        else:
            drawn = (
                0.1 * drawn + category_bias * ("conv_cls" in name) + 1.0 * ("mask_list_" in name)
            )
        parameter.data.copy_(drawn)


def build_mmdet_head(setup):
    arguments = {
        "num_classes": setup.num_classes,
        "in_channels": CHANNELS,
        "feat_channels": setup.conv_dim,
        "stacked_convs": setup.num_convs,
        "strides": STRIDES,
        "num_grids": list(setup.num_grids),
        "scale_ranges": setup.scale_ranges,
        "pos_scale": setup.sigma,
        "loss_mask": {"type": "DiceLoss", "use_sigmoid": True, "loss_weight": 3.0},
        "test_cfg": ConfigDict(
            nms_pre=setup.pre_nms_topk,
            score_thr=0.1,
            mask_thr=0.5,
            filter_thr=0.05,
            kernel=setup.nms_kernel,
            sigma=setup.nms_sigma,
            max_per_img=setup.max_instances,
        ),
    }
    if setup.names.dcn:
        arguments["dcn_cfg"] = {"type": setup.names.dcn}
    if setup.variant.startswith("decoupled"):
        # The product of the factors is a probability already; mmdet's configs say so, too.
        arguments["loss_mask"]["activate"] = False
    if setup.is_solov2:
        middle, out = setup.mask_dims
        arguments["mask_feature_head"] = ConfigDict(
            feat_channels=middle,
            start_level=0,
            end_level=3,
            out_channels=out,
            mask_stride=4,
            norm_cfg={"type": "GN", "num_groups": 32},
            conv_cfg={"type": setup.names.dcn} if setup.names.dcn else None,
        )
    return getattr(dense_heads, setup.names.theirs)(**arguments)


def build_our_model(setup):
    cfg = make_cfg(setup.names.ours)
    cfg.MODEL.FPN.OUT_CHANNELS = CHANNELS
    # The convolutions of both sides then round alike: on tiny masks a pixel moves the score.
    cfg.MODEL.MEMORY_FORMAT = "contiguous"
    cfg.TEST.DETECTIONS_PER_IMAGE = setup.max_instances
    node = cfg.MODEL.SOLO
    node.NUM_CLASSES = setup.num_classes
    node.NUM_CONVS = setup.num_convs
    node.CONV_DIM = setup.conv_dim
    node.DEFORM_CONVS = setup.names.deform
    node.DEFORM_MODULATED = setup.names.dcn != "DCN"
    node.MASK_FEATURE.DEFORM = setup.is_solov2 and bool(setup.names.dcn)
    node.MASK_FEATURE.CONV_DIM, node.MASK_FEATURE.DIM = setup.mask_dims
    node.NUM_GRIDS = list(setup.num_grids)
    node.SCALE_RANGES = [list(scales) for scales in setup.scale_ranges]
    node.SIGMA = setup.sigma
    node.TEST.PRE_NMS_TOPK = setup.pre_nms_topk
    node.TEST.NMS_KERNEL = setup.nms_kernel
    node.TEST.NMS_SIGMA = setup.nms_sigma
    return build(cfg)
