"""Test-time augmentation: find in resized and mirrored views of an image, and let these vote.

Beside detectron2's GeneralizedRCNNWithTTA, with its keys TEST.AUG and its mapper. Memory is bounded: views
run one after the other and give run lengths, of which one group at a time is decoded.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data.transforms import AugInput, AugmentationList, RandomFlip, ResizeTransform
from detectron2.modeling import DatasetMapperTTA
from detectron2.structures import Instances
from fvcore.transforms.transform import HFlipTransform, NoOpTransform, TransformList, VFlipTransform
from pycocotools import mask as coco_mask
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from solo.config.choices import MaskFormat
from solo.data.augmentation.geometry import ResizeShortestEdge
from solo.errors import UserError
from solo.inference.merging import Found, found_in, merge_views, to_instances
from solo.modeling.meta_arch import SOLO
from solo.structures.run_lengths import RLE


class SOLOWithTTA(nn.Module):
    """A SOLO that looks at several views of each image; called as the model itself at test.

    Per class, the best instance takes from every other view the best one that has an IoU of a half or
    more with it. Then they vote: a pixel belongs to the mask if those that have it hold more than half
    of their scores. The score is their sum over V: a view that overlooked the object counts as 0.
    """

    def __init__(
        self,
        cfg: CfgNode,
        model: nn.Module,
        tta_mapper: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
    ) -> None:
        """Wrap a model; it stays usable by itself.

        Args:
            cfg: TEST.AUG has MIN_SIZES, MAX_SIZE and FLIP, of the default mapper.
            model: A SOLO, or one in DistributedDataParallel.
            tta_mapper: From an input to its views, each with its `transforms`, which may resize and
                flip. None: to those of detectron2's.

        Raises:
            UserError: If it is another model, or there are no sizes.
        """
        super().__init__()
        if isinstance(model, DistributedDataParallel):
            model = model.module
        if not isinstance(model, SOLO):
            raise UserError(
                f"Test-time augmentation here is for SOLO, not for {type(model).__name__}: set "
                "TEST.AUG.ENABLED False."
            )
        if tta_mapper is None and not cfg.TEST.AUG.MIN_SIZES:
            raise UserError(
                "TEST.AUG.MIN_SIZES is empty: give a size, or set TEST.AUG.ENABLED False."
            )
        self.model = model
        self.tta_mapper = tta_mapper or _Views(cfg)
        # Evaluation puts back the mode that it finds here.
        self.train(model.training)

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.model.device

    @torch.no_grad()
    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Find the instances of each image, one image and one view at a time.

        Args:
            batched_inputs: As for the model at test. `image` is best a uint8 tensor of the image in its
                own size, on the CPU: every view is resized from it, and not from a smaller one.

        Returns:
            A list of `{"instances": Instances}`, with the fields that the model's own have.

        Raises:
            ValueError: If a view was moved otherwise than by resizing and flips.
            RuntimeError: If the model is in training mode.
        """
        if self.model.training:
            raise RuntimeError("Test-time augmentation is for evaluation: call eval() first.")
        return [{"instances": self._find(item)} for item in batched_inputs]

    def _find(self, item: dict[str, Any]) -> Instances:
        image = item["image"].cpu()
        height, width = image.shape[-2:]
        item = {"height": height, "width": width, **item, "image": image}
        postprocessor = self.model.postprocessor
        # Made for one image only: a copy that is kept would not follow the model into another mode.
        model = copy(self.model)
        model.postprocessor = replace(postprocessor, mask_format=MaskFormat.RLE)
        views = []
        for view in self.tta_mapper(item):
            transforms = view.pop("transforms")
            views.append(_in_the_image(model([view])[0]["instances"], transforms))
        size = (item["height"], item["width"])
        return to_instances(
            merge_views(views, size, class_agnostic=postprocessor.class_agnostic),
            size=size,
            mask_format=postprocessor.mask_format,
            max_instances=postprocessor.max_instances,
            device=self.device,
        )


class _Views(DatasetMapperTTA):
    """detectron2's, but that views of a long strip keep a pixel of its shorter side."""

    def __call__(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the views of an input, each with its `transforms`."""
        pixels = item["image"].permute(1, 2, 0).numpy()
        size, given = (item["height"], item["width"]), pixels.shape[:2]
        before = NoOpTransform() if given == size else ResizeTransform(*size, *given)
        views = []
        for min_size in self.min_sizes:
            resize = ResizeShortestEdge(min_size, self.max_size)
            for flips in ((), (RandomFlip(prob=1.0),))[: 2 if self.flip else 1]:
                seen = AugInput(pixels.copy())
                transforms = before + AugmentationList([resize, *flips])(seen)
                image = torch.from_numpy(np.ascontiguousarray(seen.image.transpose(2, 0, 1)))
                views.append({**item, "image": image, "transforms": transforms})
        return views


def _in_the_image(instances: Instances, transforms: TransformList) -> list[Found]:
    """Undo the flips of a view; its size the model has undone."""
    steps = transforms.transforms
    for step in steps:
        if not isinstance(step, HFlipTransform | VFlipTransform | ResizeTransform | NoOpTransform):
            raise ValueError(
                f"A view for test-time augmentation was made by {type(step).__name__}: resize and "
                "flip only, since masks are moved back."
            )
    across, down = (
        (-1) ** sum(isinstance(step, kind) for step in steps)
        for kind in (HFlipTransform, VFlipTransform)
    )
    return [item._replace(rle=_flip(item.rle, across, down)) for item in found_in(instances)]


def _flip(rle: RLE, across: int, down: int) -> RLE:
    """Mirror a mask where a step is -1."""
    if across == down == 1:
        return rle
    return coco_mask.encode(np.asfortranarray(coco_mask.decode(rle)[::down, ::across]))
