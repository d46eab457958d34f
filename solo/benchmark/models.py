"""What is measured: a model of any config, at a workload, with stages that have names."""

from typing import NamedTuple

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from solo.benchmark.timing import Stages
from solo.checkpoint import SOLOCheckpointer
from solo.config.validity import check_device
from solo.data import resolve_num_classes
from solo.errors import UserError
from solo.layers import output
from solo.modeling import meta_arch, postprocessing
from solo.modeling.fuse import prepare_for_inference


class Workload(NamedTuple):
    """How much there is to do.

    Attributes:
        size: (H, W) of the network's input, in pixels, before padding.
        original: (H, W) of the image that masks are brought to.
        images: Of a training batch.
        objects: Of a training image.
        candidates: (cell, class) of an image that pass the score threshold. None: as many as the
            weights make of it.
        filling: Whether the masks that are found fill the image instead of being of ordinary sizes.
    """

    size: tuple[int, int] = (800, 1088)
    original: tuple[int, int] = (480, 640)
    images: int = 1
    objects: int = 20
    candidates: int | None = 100
    filling: bool = False

    def check(self) -> None:
        """Raise UserError if there is nothing to do."""
        numbers = (*self.size, *self.original, self.images, self.objects)
        if min(numbers) < 1 or (self.candidates or 0) < 0:
            raise UserError(f"A size or a number is too small: {self}.")


def load_model(cfg: CfgNode) -> nn.Module:
    """Build the model of a config, and load MODEL.WEIGHTS if there are any.

    Raises:
        OSError: If the weights cannot be read.
        UserError: If they do not fit, the number of classes is not known, or torch has no such device.
    """
    check_device(cfg.MODEL.DEVICE)
    cfg = cfg.clone()
    resolve_num_classes(cfg)
    torch.manual_seed(0)
    model = build_model(cfg)
    if cfg.MODEL.WEIGHTS:
        SOLOCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model


def load_for_inference(cfg: CfgNode) -> nn.Module:
    """Build the model as `TorchBackend` does; weights may be missing. See :func:`load_model`."""
    model = load_model(cfg)
    prepare_for_inference(model, cfg)
    return model


def inference_stages(model: nn.Module) -> Stages:
    """Return the stages of inference, and the functions whose time they are."""
    return {**_network_stages(model), **finding_stages(model)}


def finding_stages(model: nn.Module) -> Stages:
    """Return the stages from the outputs of the head on."""
    return {
        "candidates": [(meta_arch, "cell_probabilities"), (model.postprocessor, "candidates")],
        "masks": [(model.postprocessor, "measure"), (model.head, "soft_masks")],
        "NMS": [(postprocessing, "mask_ious"), (model.postprocessor, "suppress")],
        "resize": [(model.postprocessor, "to_instances")],
        "RLE": [
            (output, "run_lengths"),
            (output.coco_mask, "frPyObjects"),
            (output, "encode_masks"),
        ],
    }


def training_stages(model: nn.Module) -> Stages:
    """Return the stages of the losses; the steps of the training time theirs themselves."""
    return {
        **_network_stages(model),
        "targets": [(type(model.assigner), "of_batch")],
        "losses": [(model, "losses")],
    }


def _network_stages(model: nn.Module) -> Stages:
    return {
        "preprocess": [(model, "preprocess")],
        "backbone": [(model.backbone, "forward")],
        "head": [(model.head, "forward")],
    }
