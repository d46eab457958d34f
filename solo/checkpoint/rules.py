"""How the weights of other SOLO implementations are named, as rewriting rules.

A rule is (pattern, replacement), tried in order; every one that matches is applied.
"""

import re
from collections.abc import Sequence

Rules = Sequence[tuple[str, str]]

# ResNet and FPN as mmdetection names them, which the official code does too.
_BACKBONE: Rules = (
    (r"^backbone\.(conv1|bn1)\.", r"backbone.bottom_up.stem.\1."),
    *((rf"^backbone\.layer{k}\.", rf"backbone.bottom_up.res{k + 1}.") for k in (1, 2, 3, 4)),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"^(backbone\..*)\.bn(\d)\.", r"\1.conv\2.norm."),
    (r"\.conv2\.conv_offset\.", ".conv2_offset."),
    *((rf"^neck\.lateral_convs\.{k}\.conv\.", f"backbone.fpn_lateral{k + 2}.") for k in range(4)),
    *((rf"^neck\.fpn_convs\.{k}\.conv\.", f"backbone.fpn_output{k + 2}.") for k in range(4)),
)

# A convolution with its GroupNorm.
_CONV_GN: Rules = ((r"\.conv\.(weight|bias)$", r".\1"), (r"\.gn\.", ".norm."))

_MASK_FEATURE: Rules = (
    (r"convs_all_levels\.(\d)\.conv(\d)\.", r"levels.\1.\2."),
    (r"conv_pred\.(0\.)?", "predictor."),
)

OFFICIAL: Rules = (
    *_BACKBONE,
    (r"^mask_feat_head\.", "head.mask_feature."),
    (r"^bbox_head\.", "head."),
    *_MASK_FEATURE,
    (r"\.cate_convs\.", ".category_tower."),
    (r"\.kernel_convs\.", ".kernel_tower."),
    (r"\.ins_convs(_x|_y)?\.", r".mask_tower\1."),
    (r"\.d?solo_cate\.", ".category_predictor."),
    (r"\.solo_kernel\.", ".kernel_predictor."),
    (r"\.d?solo_ins_list(_x|_y)?\.", r".mask_predictors\1."),
    *_CONV_GN,
)


def rename(key: str, rules: Rules) -> str:
    """Apply every rule to a name, in order."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key
