"""A tiny YOLOX, and weights by the official code's names."""

import re

import torch
from detectron2.modeling import build_model

from solo.checkpoint import to_mmdet
from solo.config import get_cfg

# mmdetection's names to the official ones: by hand from both codes, and none of the rules under test.
_CSP = r"^(backbone\.stage[123]\.1|backbone\.stage4\.2|neck\.(?:top_down|bottom_up)_blocks\.\d)\."
_TO_OFFICIAL = (
    (_CSP + r"main_conv\.", r"\1.conv1."),
    (_CSP + r"short_conv\.", r"\1.conv2."),
    (_CSP + r"final_conv\.", r"\1.conv3."),
    (_CSP + r"blocks\.", r"\1.m."),
    (r"\.depthwise_conv\.", ".dconv."),
    (r"\.pointwise_conv\.", ".pconv."),
    (r"^backbone\.stem\.", "backbone.backbone.stem."),
    *((rf"^backbone\.stage{i}\.", f"backbone.backbone.dark{i + 1}.") for i in (1, 2, 3, 4)),
    (r"^neck\.reduce_layers\.0\.", "backbone.lateral_conv0."),
    (r"^neck\.reduce_layers\.1\.", "backbone.reduce_conv1."),
    (r"^neck\.top_down_blocks\.0\.", "backbone.C3_p4."),
    (r"^neck\.top_down_blocks\.1\.", "backbone.C3_p3."),
    (r"^neck\.downsamples\.0\.", "backbone.bu_conv2."),
    (r"^neck\.downsamples\.1\.", "backbone.bu_conv1."),
    (r"^neck\.bottom_up_blocks\.0\.", "backbone.C3_n3."),
    (r"^neck\.bottom_up_blocks\.1\.", "backbone.C3_n4."),
    (r"^neck\.out_convs\.", "head.stems."),
    (r"^bbox_head\.multi_level_conv_(cls|reg|obj)\.", r"head.\1_preds."),
    (r"^bbox_head\.multi_level_(cls|reg)_convs\.", r"head.\1_convs."),
)


def official_names(weights):
    """Bring the weights of a model of ours to the official code's names."""
    renamed = {}
    for key, value in to_mmdet(weights).items():
        for pattern, replacement in _TO_OFFICIAL:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed


def d2_names(weights):
    """Bring the weights of a model of ours to yolov7_d2's names: a level less, and a neck beside the backbone."""
    named = {}
    for key, value in official_names(weights).items():
        if key.startswith("backbone.backbone."):
            key = key.removeprefix("backbone.")
        elif key.startswith("backbone."):
            key = key.replace("backbone.", "neck.", 1)
        named[key] = value
    return named


def make_yolox_cfg(**keys):
    """A YOLOX of some 60,000 weights and 3 classes."""
    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.META_ARCHITECTURE = "YOLOX"
    cfg.MODEL.BACKBONE.NAME = "build_cspdarknet_backbone"
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    cfg.INPUT.PAD_VALUE = [114.0, 114.0, 114.0]
    node = cfg.MODEL.YOLOX
    node.WIDTH, node.NUM_CLASSES, node.DEPTHWISE = 0.125, 3, True
    node.TEST.SCORE_THRESH = 0.0
    for key, value in keys.items():
        node[key] = value
    return cfg


def make_yolox(seed=0, **keys):
    torch.manual_seed(seed)
    return build_model(make_yolox_cfg(**keys)).eval()
