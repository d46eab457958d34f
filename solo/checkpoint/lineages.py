"""The checkpoints of all implementations of SOLO and YOLOX, and of backbones: whose they are, and how they become ours.

Renaming is all there is to it: no tensor changes its values, its shape or the order of its channels.
"""

import re
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.checkpoint.comparison import is_counter, listed
from solo.checkpoint.preprocessing import Preprocessing
from solo.checkpoint.rules import (
    ADELAIDET,
    OFFICIAL,
    TO_MMDET,
    TORCHVISION,
    YOLOX,
    YOLOX_TO_MMDET,
    Rules,
    is_dropped,
    is_solo,
    is_training_only,
    is_yolox,
    rename,
)
from solo.errors import UserError


class Lineage(str, Enum):
    """Whose names a checkpoint has."""

    SOLO = "solo"  # this project
    OFFICIAL = "official"  # WXinlong/SOLO
    MMDET = "mmdet"  # mmdetection 3.x
    ADELAIDET = "AdelaiDet"
    TORCHVISION = "torchvision"  # and timm: a ResNet alone
    YOLOX = "YOLOX"  # Megvii-BaseDetection/YOLOX from 0.1.1rc0 on, and the YOLOX of yolov7_d2
    MMDET_YOLOX = "YOLOX of mmdet"  # mmdetection 2.x and 3.x
    TIMM = "timm"  # any model of it alone: told by the backbone, as all names are different


class Converted(NamedTuple):
    """A checkpoint by our names.

    Attributes:
        weights: The tensors.
        lineage: Whose names they had.
        dropped: What else was in the file, and tensors that a model of ours has no use for.
    """

    weights: dict[str, Tensor]
    lineage: Lineage
    dropped: tuple[str, ...]


# One look at the names that only this lineage has.
_MARKS = {
    # Of YOLOX, too: its rows of classes are in head.category_predictors.
    Lineage.SOLO: r"^head\.(category|mask|kernel)_",
    Lineage.OFFICIAL: r"^bbox_head\.(cate_convs\.|kernel_convs\.|d?solo_)",
    Lineage.MMDET: r"^mask_head\.(cls_convs|kernel_convs|mask_convs|conv_(cls|kernel|mask_list))",
    Lineage.ADELAIDET: r"^ins_head\.(cate|kernel)_",
    Lineage.TORCHVISION: r"^layer1\.0\.conv1\.weight$",
    Lineage.YOLOX: r"^head\.(cls|reg|obj)_preds\.\d\.",
    Lineage.MMDET_YOLOX: r"^bbox_head\.multi_level_conv_obj\.",
}
_RULES = {
    Lineage.OFFICIAL: OFFICIAL,
    Lineage.MMDET: OFFICIAL,
    Lineage.ADELAIDET: ADELAIDET,
    Lineage.TORCHVISION: TORCHVISION,
    Lineage.YOLOX: YOLOX,
    Lineage.MMDET_YOLOX: YOLOX,
}

# What those of a backbone alone hold of a model; of timm without what solo puts behind it.
_PARTS = {
    Lineage.TORCHVISION: r"^backbone\.bottom_up\.(?!.*\.conv2_offset\.)",
    Lineage.TIMM: r"^backbone\.(bottom_up\.)?body\.",
}

# The convolution of the category tower before which the features are resized to the grid, in the config that
# the official code and mmdetection write beside the weights; not in a comment.
_RESIZE_KEY = re.compile(
    r"^[^#\n]*?\b(cate_down_pos|cls_down_index)['\"]?\s*[=:]\s*(-?\d+)", re.MULTILINE
)

# The ResNet of torchvision, and its files: stride in the 3x3 convolution, statistics of ImageNet.
_TORCHVISION = Preprocessing(
    input_format="RGB",
    pixel_mean=(123.675, 116.28, 103.53),
    pixel_std=(58.395, 57.12, 57.375),
    stride_in_1x1=False,
)
# The ResNet of MSRA, from Caffe.
_MSRA = Preprocessing(
    input_format="BGR",
    pixel_mean=(103.53, 116.28, 123.675),
    pixel_std=(1.0, 1.0, 1.0),
    stride_in_1x1=True,
)
# YOLOX, whose older weights have the same names and want what torchvision's do: only their owner can tell.
_RAW = Preprocessing(input_format="BGR", pixel_mean=(0.0, 0.0, 0.0), pixel_std=(1.0, 1.0, 1.0))
_PREPROCESSING = {
    Lineage.OFFICIAL: _TORCHVISION,
    Lineage.MMDET: _TORCHVISION,
    Lineage.ADELAIDET: _MSRA,
    Lineage.TORCHVISION: _TORCHVISION,
    Lineage.YOLOX: _RAW,
    Lineage.MMDET_YOLOX: _RAW,
}


def recognise(content: Mapping[str, Any]) -> Lineage | None:
    """Tell whose checkpoint it is by its names; None where they are of no lineage."""
    weights, _ = split(content)
    for lineage, mark in _MARKS.items():
        if any(re.search(mark, key) for key in weights):
            return lineage
    return None


def to_solo(content: Mapping[str, Any]) -> Converted:
    """Bring a checkpoint of any lineage to our names.

    Args:
        content: What a file holds: a state dict, or one under "state_dict" or "model".

    Raises:
        UserError: If the lineage is not known, or two tensors would get one name, or the weights are
            of a head that computes otherwise than ours.
    """
    lineage = recognise(content)
    weights, rest = split(content)
    if lineage is None:
        raise UserError(
            f"The layout is not known: the first names are {listed(list(weights) or rest, 5)}. Give "
            "a checkpoint of SOLO, Decoupled SOLO, SOLOv2 or YOLOX from this project, the official code, "
            "mmdetection 3.x, AdelaiDet or yolov7_d2, or a ResNet of torchvision or timm."
        )
    if lineage is Lineage.SOLO:
        return Converted(weights, lineage, tuple(rest))
    _check_category_resize(content, weights)
    rest += [key for key in weights if is_dropped(key)]
    kept = {key: value for key, value in weights.items() if not is_dropped(key)}
    return Converted(_renamed(kept, _RULES[lineage]), lineage, tuple(rest))


def part_of(lineage: Lineage, model: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those tensors of a model that a checkpoint of a lineage has: of torchvision the backbone's.

    But for the offsets of deformable convolutions there, which start at zero.
    """
    mark = _PARTS.get(lineage, "")
    return {key: value for key, value in model.items() if re.search(mark, key)}


def to_mmdet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring the weights of a model of ours to mmdetection 3.x's names: the inverse of `to_solo`.

    Counters of BatchNorm, which frozen ones lack, are added as zeros: mmdetection has them, and
    nothing reads them. What only training runs is left out.

    Raises:
        UserError: If some weights have no counterpart there.
    """
    if quality := [key for key in weights if key.startswith("head.quality_predictor.")]:
        raise UserError(
            f"mmdetection has no counterpart of {listed(quality, 5)}: without this branch, by which scores are "
            "multiplied, the model would find something else there. Train with MODEL.SOLO.QUALITY.ENABLED False."
        )
    weights = {key: value for key, value in weights.items() if not is_training_only(key)}
    yolox = any(map(is_yolox, weights))
    has_name = is_yolox if yolox else is_solo
    if foreign := [key for key in weights if not (has_name(key) or is_counter(key))]:
        raise UserError(
            f"mmdetection has no counterpart of {listed(foreign, 5)}; only a ResNet with a pyramid "
            "and a head of this package, or its YOLOX, can be exported."
        )
    counters = {
        key.replace(".running_mean", ".num_batches_tracked"): torch.zeros((), dtype=torch.int64)
        for key in weights
        if key.endswith(".running_mean")
    }
    return _renamed({**counters, **weights}, YOLOX_TO_MMDET if yolox else TO_MMDET)


def expected_preprocessing(lineage: Lineage) -> Preprocessing:
    """Return what the published weights of a lineage were trained to see; nothing for our own.

    Our own checkpoints carry it with them: see `Preprocessing.of_checkpoint`.
    """
    return _PREPROCESSING.get(lineage, Preprocessing())


def check_preprocessing(lineage: Lineage, cfg: CfgNode) -> None:
    """Stop where a config prepares images in another way than the weights of a lineage expect.

    Raises:
        UserError: If they differ, with the keys to set and their values.
    """
    expected = expected_preprocessing(lineage)
    expected.check(Preprocessing.of_config(cfg), f"A checkpoint of the lineage {lineage.value}")


def split(content: Mapping[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors of a file by name, and the names of whatever else it holds."""
    rest: list[str] = []
    for name in ("state_dict", "model"):
        if isinstance(content.get(name), Mapping):
            rest = [str(key) for key in content if key != name]
            content = content[name]
            break
    weights = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    rest += [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if weights and all(key.startswith("module.") for key in weights):
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    return weights, rest


def _check_category_resize(content: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Stop at a head that resizes to the grid amid its category tower: ours do it before."""
    meta = content.get("meta")
    # SOLOv2's heads have the key, too, and do not read it.
    if not isinstance(meta, Mapping) or any(".kernel_convs." in key for key in weights):
        return
    for text in (meta.get("cfg"), meta.get("config")):
        for key, value in _RESIZE_KEY.findall(text if isinstance(text, str) else ""):
            if int(value):
                raise UserError(
                    f"The checkpoint is of a model with {key} = {value}, which resizes the features "
                    f"to the grid before convolution {value} of the category tower. Here that is "
                    f"before the first one, {key} = 0, as in all published models; with another value "
                    "the same weights would find something else."
                )


def _renamed(weights: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    renamed = {rename(key, rules): value for key, value in weights.items()}
    if len(renamed) < len(weights):
        counts = Counter(rename(key, rules) for key in weights)
        twice = [key for key, count in counts.items() if count > 1]
        raise UserError(f"Several tensors of the checkpoint would be called {listed(twice, 5)}.")
    return renamed
