"""How the weights of other implementations of SOLO and YOLOX are named, as rewriting rules.

A rule is (pattern, replacement). All that match a name are applied to it, in order.
"""

import re
from collections.abc import Sequence

Rules = Sequence[tuple[str, str]]

# The official code's names and those of mmdetection, which took them over but for some words.
OFFICIAL: Rules = (
    # ResNet and FPN.
    (r"^backbone\.(conv1|bn1)\.", r"backbone.bottom_up.stem.\1."),
    *((rf"^backbone\.layer{k}\.", rf"backbone.bottom_up.res{k + 1}.") for k in (1, 2, 3, 4)),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"^(backbone\..*)\.bn(\d)\.", r"\1.conv\2.norm."),
    (r"\.conv2\.conv_offset\.", ".conv2_offset."),
    *((rf"^neck\.lateral_convs\.{k}\.", f"backbone.fpn_lateral{k + 2}.") for k in range(4)),
    *((rf"^neck\.fpn_convs\.{k}\.", f"backbone.fpn_output{k + 2}.") for k in range(4)),
    # The head; of two words, the second is mmdetection's.
    (r"^(mask_feat_head|mask_head\.mask_feature_head)\.", "head.mask_feature."),
    (r"^(bbox_head|mask_head)\.", "head."),
    (r"convs_all_levels\.(\d)\.conv(\d)\.", r"levels.\1.\2."),
    (r"conv_pred\.(0\.)?", "predictor."),
    (r"\.(cate|cls)_convs\.", ".category_tower."),
    (r"\.kernel_convs\.", ".kernel_tower."),
    (r"\.(?:ins|mask)_convs(_x|_y)?\.", r".mask_tower\1."),
    (r"\.(d?solo_cate|conv_cls)\.", ".category_predictor."),
    (r"\.(solo|conv)_kernel\.", ".kernel_predictor."),
    (r"\.(?:d?solo_ins|conv_mask)_list(_x|_y)?\.", r".mask_predictors\1."),
    # A convolution, plain or deformable, with its normalisation.
    (r"\.conv\.conv_offset\.", ".offset."),
    (r"\.conv\.(weight|bias)$", r".\1"),
    (r"\.(gn|bn)\.", ".norm."),
)

# A ResNet of ImageNet alone, as torchvision and timm name it: the official backbone is the same.
TORCHVISION: Rules = ((r"^", "backbone."), *OFFICIAL)

# AdelaiDet's towers are flat lists of convolution, GroupNorm, ReLU; its backbone is detectron2's.
ADELAIDET: Rules = (
    *(
        (rf"^ins_head\.{theirs}_tower\.{3 * i + part}\.", f"head.{ours}_tower.{i}.{norm}")
        for theirs, ours in (("cate", "category"), ("kernel", "kernel"))
        for i in range(8)
        for part, norm in enumerate(("", "norm."))
    ),
    (r"^ins_head\.cate_pred\.", "head.category_predictor."),
    (r"^ins_head\.kernel_pred\.", "head.kernel_predictor."),
    (r"^mask_head\.convs_all_levels\.(\d)\.conv(\d)\.0\.", r"head.mask_feature.levels.\1.\2."),
    (r"^mask_head\.convs_all_levels\.(\d)\.conv(\d)\.1\.", r"head.mask_feature.levels.\1.\2.norm."),
    (r"^mask_head\.conv_pred\.0\.", "head.mask_feature.predictor."),
    (r"^mask_head\.conv_pred\.1\.", "head.mask_feature.predictor.norm."),
)

_CSP = r"^(backbone\.dark[234]\.1|backbone\.dark5\.2|neck\.(?:top_down|bottom_up)\.\d)\."

# YOLOX: the official code's names; those of yolov7_d2, which has a level less at their beginning; and those of
# mmdetection. Of two words, the second is mmdetection's.
YOLOX: Rules = (
    (r"^backbone\.backbone\.", "backbone."),
    *((rf"^backbone\.stage{k}\.", f"backbone.dark{k + 1}.") for k in (1, 2, 3, 4)),
    (r"^backbone\.stem\.conv\.", "backbone.stem."),
    (r"^(backbone|neck)\.lateral_conv0\.", "neck.reduce.0."),
    (r"^(backbone|neck)\.reduce_conv1\.", "neck.reduce.1."),
    *((rf"^(backbone|neck)\.C3_p{4 - k}\.", f"neck.top_down.{k}.") for k in (0, 1)),
    *((rf"^(backbone|neck)\.bu_conv{2 - k}\.", f"neck.downsample.{k}.") for k in (0, 1)),
    *((rf"^(backbone|neck)\.C3_n{3 + k}\.", f"neck.bottom_up.{k}.") for k in (0, 1)),
    (r"^neck\.reduce_layers\.", "neck.reduce."),
    (r"^neck\.(top_down|bottom_up)_blocks\.", r"neck.\1."),
    (r"^neck\.downsamples\.", "neck.downsample."),
    (r"^neck\.out_convs\.", "head.stems."),
    (r"^bbox_head\.multi_level_conv_(cls|reg|obj)\.", r"head.\1_preds."),
    (r"^bbox_head\.multi_level_", "head."),
    (r"^head\.cls_convs\.", "head.category_towers."),
    (r"^head\.reg_convs\.", "head.box_towers."),
    (r"^head\.cls_preds\.", "head.category_predictors."),
    (r"^head\.reg_preds\.", "head.box_predictors."),
    (r"^head\.obj_preds\.", "head.objectness_predictors."),
    (r"\.(dconv|depthwise_conv)\.", ".depthwise."),
    (r"\.(pconv|pointwise_conv)\.", ".pointwise."),
    (rf"{_CSP}(conv1|main_conv)\.", r"\1.main."),
    (rf"{_CSP}(conv2|short_conv)\.", r"\1.short."),
    (rf"{_CSP}(conv3|final_conv)\.", r"\1.final."),
    (rf"{_CSP}m\.", r"\1.blocks."),
    (r"\.conv\.weight$", ".weight"),
    (r"\.bn\.", ".norm."),
)

_YOLOX_PARTS = (
    r"(backbone\.(stem|dark\d)|neck\.(reduce|top_down|downsample|bottom_up)|"
    r"head\.(stems|(category|box)_towers|(category|box|objectness)_predictors))\."
)

# Ours to mmdetection's YOLOX: the inverse of YOLOX, by mmdetection's words.
YOLOX_TO_MMDET: Rules = (
    (rf"{_CSP}(main|short|final)\.", r"\1.\2_conv."),
    (r"\.(depthwise|pointwise)\.", r".\1_conv."),
    # A normalised convolution: all but the predictors.
    (r"^((?!head\.\w+_predictors\.).*)\.weight$", r"\1.conv.weight"),
    (r"\.norm\.conv\.weight$", ".norm.weight"),
    (r"\.norm\.", ".bn."),
    (r"^backbone\.stem\.", "backbone.stem.conv."),
    *((rf"^backbone\.dark{k + 1}\.", f"backbone.stage{k}.") for k in (1, 2, 3, 4)),
    (r"^neck\.reduce\.", "neck.reduce_layers."),
    (r"^neck\.(top_down|bottom_up)\.", r"neck.\1_blocks."),
    (r"^neck\.downsample\.", "neck.downsamples."),
    (r"^head\.stems\.", "neck.out_convs."),
    (r"^head\.category_towers\.", "bbox_head.multi_level_cls_convs."),
    (r"^head\.box_towers\.", "bbox_head.multi_level_reg_convs."),
    (r"^head\.category_predictors\.", "bbox_head.multi_level_conv_cls."),
    (r"^head\.box_predictors\.", "bbox_head.multi_level_conv_reg."),
    (r"^head\.objectness_predictors\.", "bbox_head.multi_level_conv_obj."),
)

_TOWER = r"^head\.(?:\w+_tower(?:_x|_y)?\.\d+|mask_feature\.(?:levels\.\d\.\d|predictor))"

# Ours to mmdetection's: the inverse of OFFICIAL, by mmdetection's words.
TO_MMDET: Rules = (
    (r"^backbone\.bottom_up\.stem\.conv1\.norm\.", "backbone.bn1."),
    (r"^backbone\.bottom_up\.stem\.conv1\.", "backbone.conv1."),
    *((rf"^backbone\.bottom_up\.res{k + 1}\.", rf"backbone.layer{k}.") for k in (1, 2, 3, 4)),
    (r"^(backbone\.layer.*)\.conv2_offset\.", r"\1.conv2.conv_offset."),
    (r"^(backbone\.layer.*)\.conv(\d)\.norm\.", r"\1.bn\2."),
    (r"^(backbone\.layer.*)\.shortcut\.norm\.", r"\1.downsample.1."),
    (r"^(backbone\.layer.*)\.shortcut\.", r"\1.downsample.0."),
    (r"^(backbone\.fpn_.*)\.norm\.", r"\1.bn."),
    (r"^(backbone\.fpn_\w+)\.(weight|bias)$", r"\1.conv.\2"),
    *((rf"^backbone\.fpn_lateral{k + 2}\.", f"neck.lateral_convs.{k}.") for k in range(4)),
    *((rf"^backbone\.fpn_output{k + 2}\.", f"neck.fpn_convs.{k}.") for k in range(4)),
    (rf"({_TOWER})\.(weight|bias)$", r"\1.conv.\2"),
    (rf"({_TOWER})\.norm\.", r"\1.gn."),
    (rf"({_TOWER})\.offset\.", r"\1.conv.conv_offset."),
    (
        r"^head\.mask_feature\.levels\.(\d)\.(\d)\.",
        r"mask_head.mask_feature_head.convs_all_levels.\1.conv\2.",
    ),
    (r"^head\.mask_feature\.predictor\.", "mask_head.mask_feature_head.conv_pred."),
    (r"^head\.category_tower\.", "mask_head.cls_convs."),
    (r"^head\.kernel_tower\.", "mask_head.kernel_convs."),
    (r"^head\.mask_tower(_x|_y)?\.", r"mask_head.mask_convs\1."),
    (r"^head\.category_predictor\.", "mask_head.conv_cls."),
    (r"^head\.kernel_predictor\.", "mask_head.conv_kernel."),
    (r"^head\.mask_predictors(_x|_y)?\.", r"mask_head.conv_mask_list\1."),
)

# What a model of ours has no use for: counters, ImageNet's classifier, levels of the pyramid beyond
# P6, and the normalisation of images, which is in the config.
DROPPED = (
    r"\.num_batches_tracked$",
    r"(^|\.)fc\.(weight|bias)$",
    r"^neck\.fpn_convs\.[4-9]\.",
    r"^(pixel_mean|pixel_std)$",
)


def rename(key: str, rules: Rules) -> str:
    """Apply every rule to a name, in order."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def is_dropped(key: str) -> bool:
    """Return whether a tensor of another implementation is left out."""
    return any(re.search(pattern, key) for pattern in DROPPED)


def is_ours(key: str) -> bool:
    """Return whether a SOLO or a YOLOX of this package has such a name."""
    return is_solo(key) or is_yolox(key)


def is_training_only(key: str) -> bool:
    """Return whether a tensor is of the auxiliary branch of SOLOv2 that only training runs."""
    return key.startswith("head.semantic.")


def is_solo(key: str) -> bool:
    """Return whether a ResNet with a pyramid and a head of this package has such a name."""
    prefixes = ("head.", "backbone.bottom_up.", "backbone.fpn_")
    return key.startswith(prefixes) and not rename(key, TO_MMDET).startswith(prefixes)


def is_yolox(key: str) -> bool:
    """Return whether a YOLOX of this package on its own backbone has such a name."""
    return bool(re.match(_YOLOX_PARTS, key))
