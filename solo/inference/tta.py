"""Test-time augmentation: find in resized and mirrored views of an image, and let these vote.

Beside detectron2's GeneralizedRCNNWithTTA, with its keys TEST.AUG and its mapper. Memory is bounded: views
run one after the other and give run lengths, of which one group at a time is decoded.

Legend: V views, H, W image size.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data.transforms import ResizeTransform
from detectron2.modeling import DatasetMapperTTA
from detectron2.structures import Instances
from fvcore.transforms.transform import HFlipTransform, NoOpTransform, TransformList, VFlipTransform
from pycocotools import mask as coco_mask
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from solo.errors import UserError
from solo.modeling.meta_arch import SOLO
from solo.structures.run_lengths import RLE, boxes_of, decode_box, make_instances, place_mask

# IoU with the best one from which on what other views found is the same object.
_SAME = 0.5
# While one image is looked at, the model gives run lengths. (A lock in a module could not be copied.)
_ONE_AT_A_TIME = Lock()


class _Found(NamedTuple):
    """What a view found, in the frame of the image."""

    rle: RLE
    score: float
    category: int
    view: int


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
                flip. None: detectron2's.

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
        self.tta_mapper = tta_mapper or DatasetMapperTTA(cfg)
        # detectron2's evaluation puts back the mode that it finds here.
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
        found: list[_Found] = []
        views = self.tta_mapper(item)
        with _ONE_AT_A_TIME, _run_lengths_from(self.model):
            for index, view in enumerate(views):
                transforms = view.pop("transforms")
                instances = self.model([view])[0]["instances"]
                found += _in_the_image(instances, transforms, index)
        size = (item["height"], item["width"])
        groups = list(_group(found, class_agnostic=self.model.postprocessor.class_agnostic))
        return make_instances(
            [_vote(group, size) for group in groups],
            [sum(member.score for member in group) / len(views) for group in groups],
            [group[0].category for group in groups],
            size=size,
            mask_format=self.model.postprocessor.mask_format,
            max_instances=self.model.postprocessor.max_instances,
            device=self.device,
        )


@contextmanager
def _run_lengths_from(model: SOLO) -> Iterator[None]:
    """Let a model return run lengths, whatever its config says."""
    postprocessor = model.postprocessor
    model.postprocessor = replace(postprocessor, mask_format="rle")
    try:
        yield
    finally:
        model.postprocessor = postprocessor


def _in_the_image(instances: Instances, transforms: TransformList, view: int) -> list[_Found]:
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
    fields = (instances.scores.tolist(), instances.pred_classes.tolist())
    return [
        _Found(_flip(rle, across, down), score, category, view)
        for rle, score, category in zip(instances.pred_rles, *fields, strict=True)
    ]


def _flip(rle: RLE, across: int, down: int) -> RLE:
    """Mirror a mask where a step is -1."""
    if across == down == 1:
        return rle
    return coco_mask.encode(np.asfortranarray(coco_mask.decode(rle)[::down, ::across]))


def _group(found: list[_Found], *, class_agnostic: bool = False) -> Iterator[list[_Found]]:
    """Yield what is one object, the best of it first: of each view one at most.

    What a view found twice is left to be a group of its own, with a score as low as there. As in the
    suppression of each view, `class_agnostic` lets different classes be one object.
    """
    kinds = [0 if class_agnostic else item.category for item in found]
    for kind in sorted(set(kinds)):
        members = [item for item, other in zip(found, kinds, strict=True) if other == kind]
        members.sort(key=lambda item: -item.score)
        rles = [item.rle for item in members]
        same = coco_mask.iou(rles, rles, [0] * len(rles)) >= _SAME
        free = np.ones(len(members), dtype=bool)
        for best in range(len(members)):
            if not free[best]:
                continue
            free[best] = False
            group = {members[best].view: best}
            for other in np.flatnonzero(same[best] & free).tolist():
                group.setdefault(members[other].view, other)
            free[list(group.values())] = False
            yield [members[index] for index in group.values()]


def _vote(group: list[_Found], size: tuple[int, int]) -> RLE:
    """Return the pixels that more than half of a group has, by score."""
    rles = [member.rle for member in group]
    if len(rles) == 1:
        return rles[0]
    boxes = boxes_of(rles)
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    votes = np.zeros((bottom - top, right - left), dtype=np.float32)
    for member in group:
        votes += np.float32(member.score) * decode_box(member.rle, (left, top, right, bottom))
    half = sum(member.score for member in group) / 2
    return place_mask(votes > half, (top, left), size)
