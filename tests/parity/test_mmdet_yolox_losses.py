"""SimOTA and the four losses of YOLOX, beside those of mmdetection 3.3.0 on the same outputs."""

from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import InstanceData

# isort: split
from mmdet.models.dense_heads import YOLOXHead
from mmengine.config import ConfigDict

from solo.yolox.assign import SimOTA
from solo.yolox.head import Raw
from solo.yolox.losses import Losses
from tests.yolox.drawn_images import NUM_CLASSES, STRIDES, Drawn, draw_image, match_by_loops

# mmdetection adds another number to the IoU than the published YOLOX does.
EPSILON = 1e-7
RULE = SimOTA(epsilon=EPSILON)
SIZE = 96
WEIGHTS = {"loss_box": 5.0, "loss_objectness": 1.0, "loss_category": 1.0, "loss_l1": 1.0}
LOSSES = Losses(RULE, WEIGHTS, l1_start=0)
THEIR_NAMES = {
    "loss_box": "loss_bbox",
    "loss_objectness": "loss_obj",
    "loss_category": "loss_cls",
    "loss_l1": "loss_l1",
}


def clear_images() -> Iterator[Drawn]:
    """Yield images in which rounding decides nothing: what becomes of ties nobody says."""
    for seed in count():
        drawn = draw_image(seed, size=SIZE, most=12)
        if match_by_loops(drawn, EPSILON).margin > 0.02:
            yield drawn


@pytest.fixture(scope="module")
def head() -> YOLOXHead:
    train_cfg = ConfigDict(assigner={"type": "SimOTAAssigner", "center_radius": 2.5})
    head = YOLOXHead(NUM_CLASSES, 8, feat_channels=8, train_cfg=train_cfg)
    head.use_l1 = True
    return head


def to_theirs(drawn: Drawn) -> InstanceData:
    return InstanceData(bboxes=drawn.truth.gt_boxes.tensor, labels=drawn.truth.gt_classes)


def test_matches_are_equal_on_200_images(head: YOLOXHead) -> None:
    positives = 0
    for drawn in islice(clear_images(), 200):
        boxes, objectness, categories, points, strides, *_ = drawn.assigned
        sides = strides[:, None].expand(-1, 2)
        scores = (categories.sigmoid() * objectness[:, None].sigmoid()).sqrt()
        found = InstanceData(
            bboxes=boxes, scores=scores, priors=torch.cat([points + sides / 2, sides], dim=1)
        )
        theirs = head.assigner.assign(found, to_theirs(drawn))
        ours = RULE(*drawn.assigned)
        assert torch.equal(ours.objects + 1, theirs.gt_inds)
        matched = ours.objects >= 0
        torch.testing.assert_close(
            ours.ious[matched], theirs.max_overlaps[matched], atol=1e-6, rtol=1e-6
        )
        positives += int(matched.sum())
    assert positives > 2000


def levels(rows: torch.Tensor) -> list[torch.Tensor]:
    """Turn (N, A, C) into (N, C, h, w) of each level."""
    sides = [SIZE // stride for stride in STRIDES]
    parts = rows.split([side * side for side in sides], dim=1)
    return [part.mT.unflatten(2, (side, side)) for part, side in zip(parts, sides, strict=True)]


@pytest.mark.parametrize("images", [1, 3, 8])
def test_losses_and_their_gradients(head: YOLOXHead, images: int) -> None:
    batch = list(islice(clear_images(), 10, 10 + images))
    outputs = [torch.cat(parts) for parts in zip(*(image.raw[:3] for image in batch), strict=True)]
    mine, yours = ([part.clone().requires_grad_() for part in outputs] for _ in range(2))
    raw = Raw(*mine, *batch[0].raw[3:])
    ours = LOSSES(raw, [image.truth for image in batch], 0)
    boxes, objectness, categories = yours
    theirs = head.loss_by_feat(
        *(levels(categories), levels(boxes), levels(objectness[..., None])),
        [to_theirs(image) for image in batch],
        [{}] * images,
    )
    assert ours.keys() == THEIR_NAMES.keys() and theirs.keys() == set(THEIR_NAMES.values())
    for name, loss in ours.items():
        torch.testing.assert_close(loss, theirs[THEIR_NAMES[name]], atol=1e-5, rtol=1e-5)
    torch.stack([*ours.values()]).sum().backward()
    torch.stack([*theirs.values()]).sum().backward()
    for our_output, their_output in zip(mine, yours, strict=True):
        torch.testing.assert_close(our_output.grad, their_output.grad, atol=1e-5, rtol=1e-4)
