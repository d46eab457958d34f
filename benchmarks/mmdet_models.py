"""mmdetection 3.3.0 without mmcv's compiled operators: its detectors, and the annotations it wants.

A stub stands in for the operators, and torchvision's for that of the deformable convolutions. Importing this
needs mmdet, and comes before any other import of it.
"""

import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import torch
from detectron2.structures import Instances
from torch import Tensor, nn
from torchvision.ops import deform_conv2d, nms


def _stub_compiled_operators() -> None:
    """Let mmcv-lite be imported by mmdet: of the compiled operators only `nms` is used, by YOLOX."""

    class Operators(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)

            def refuse(*args: Any, **kwargs: Any) -> None:
                raise NotImplementedError(f"mmcv's operator {name} is not built")

            return refuse

    if importlib.util.find_spec("mmcv._ext") is None:
        module = Operators("mmcv._ext")
        module.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
        module.nms = _nms
        sys.modules["mmcv._ext"] = module


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    assert offset == 0  # as torchvision's
    return nms(boxes, scores, iou_threshold)


_stub_compiled_operators()

import mmdet  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmdet.structures.mask import BitmapMasks  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402


def _deform_v1(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Any,
    padding: Any,
    dilation: Any,
    *_: Any,
) -> Tensor:
    return deform_conv2d(features, offset, weight, None, stride, padding, dilation)


def _deform_v2(
    features: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    *_: Any,
) -> Tensor:
    return deform_conv2d(features, offset, weight, bias, stride, padding, dilation, mask)


sys.modules["mmcv.ops.deform_conv"].deform_conv2d = _deform_v1
sys.modules["mmcv.ops.modulated_deform_conv"].modulated_deform_conv2d = _deform_v2

CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"


def build_mmdet_detector(config: str) -> nn.Module:
    """Build a whole detector from a config in mmdet's package, with random weights."""
    init_default_scope("mmdet")
    model = Config.fromfile(CONFIGS / config).model
    model.backbone.init_cfg = None
    return MODELS.build(model)


def to_mmdet_truth(instances: Instances, padded: tuple[int, int]) -> InstanceData:
    """Return annotations as mmdet wants them, the masks padded as its data preprocessor does."""
    masks = torch.zeros(len(instances), *padded, dtype=torch.uint8)
    height, width = instances.image_size
    masks[:, :height, :width] = instances.gt_masks
    return InstanceData(
        bboxes=instances.gt_boxes.tensor,
        labels=instances.gt_classes,
        masks=BitmapMasks(masks.numpy(), *padded),
    )
