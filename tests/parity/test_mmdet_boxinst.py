"""The terms of BoxInst, ours and mmdetection 3.3.0's, on the same masks, boxes and images."""

import pytest
import torch

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
import mmdet_oracle  # noqa: F401

# isort: split
from types import SimpleNamespace

from mmdet.models.data_preprocessors import data_preprocessor
from mmdet.models.dense_heads import BoxInstMaskHead
from mmdet.structures import DetDataSample
from mmengine import MessageHub
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from solo.layers.lab import to_lab
from solo.modeling.box_terms import (
    box_windows,
    count_edges,
    edge_offsets,
    pairwise_loss,
    projection_loss,
    similar_neighbours,
)

STRIDE, SIZE = 4, (64, 96)
OFFSETS = edge_offsets(3, 2)
FRAME = (SIZE[0] // STRIDE, SIZE[1] // STRIDE)


def rgb2lab(image):
    """What scikit-image does; ours is compared with OpenCV in tests/layers."""
    return to_lab(torch.from_numpy(image).permute(2, 0, 1)).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def case():
    """Blocks of whole colours, so that mmdet's rounding of their averages to bytes changes nothing."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(100, 106, (3, *FRAME), generator=generator)
    image = blocks.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2).float()
    # mmdet counts the far corner in: none of these lies on a pixel that it looks at.
    boxes = torch.tensor([[5.0, 8.0, 61.0, 47.0], [0.0, 0.0, 96.0, 64.0], [70.0, 41.0, 95.0, 60.0]])
    instances = torch.tensor([0, 0, 1, 2, 2, 2])
    logits = torch.randn(len(instances), *FRAME, generator=generator) * 3
    return SimpleNamespace(image=image, boxes=boxes, instances=instances, logits=logits)


@pytest.fixture(scope="module")
def theirs(case):
    """Their data preprocessor's targets, as their head takes them."""
    preprocessor = data_preprocessor.BoxInstDataPreprocessor(
        mean=[0, 0, 0], std=[1, 1, 1], pad_size_divisor=32, bottom_pixels_removed=0
    )
    sample = DetDataSample(metainfo={"img_shape": SIZE, "ori_shape": SIZE})
    sample.gt_instances = InstanceData(
        bboxes=case.boxes.clone(), labels=torch.zeros(len(case.boxes), dtype=torch.int64)
    )
    data = {"inputs": [case.image.clone()], "data_samples": [sample]}
    (sample,) = preprocessor(data, training=True)["data_samples"]
    return sample.gt_instances


@pytest.fixture(scope="module", autouse=True)
def skimage():
    with pytest.MonkeyPatch.context() as patch:
        library = SimpleNamespace(color=SimpleNamespace(rgb2lab=rgb2lab))
        patch.setattr(data_preprocessor, "skimage", library)
        yield


def test_similar_neighbours(case, theirs):
    ours = similar_neighbours(case.image, STRIDE, OFFSETS, 0.3)
    # Theirs: 8 neighbours, row by row; the last four lead down or to the right. One set for each box.
    expected = theirs.pairwise_masks[0].bool()
    assert torch.equal(ours, expected[4:]) and 0.05 < ours.float().mean() < 0.95
    windows = box_windows(case.boxes, STRIDE, FRAME)
    within = torch.from_numpy(theirs.masks.masks)[:, 2::STRIDE, 2::STRIDE].bool()
    for window, mask, count in zip(
        windows, within, count_edges(ours, OFFSETS, windows), strict=True
    ):
        left, top, right, bottom = window.tolist()
        assert mask[top:bottom, left:right].all() and mask.sum() == (bottom - top) * (right - left)
        assert count == (expected & mask).sum()


@pytest.mark.parametrize("iteration", [0, 300, 5000])
def test_losses(case, theirs, iteration):
    head = BoxInstMaskHead(
        warmup_iters=1000,
        mask_feature_head=ConfigDict(
            in_channels=8,
            feat_channels=8,
            start_level=0,
            end_level=0,
            out_channels=8,
            mask_stride=8,
        ),
        # The addition of dice is that of ours, which follows SOLO's official code.
        loss_mask={"type": "DiceLoss", "use_sigmoid": True, "eps": 1e-3},
    )
    MessageHub.get_current_instance().update_info("iter", iteration)
    logits = case.logits.clone().requires_grad_()
    infos = [InstanceData(pos_assigned_gt_inds=case.instances)]
    expected = head.loss_by_feat([logits], [theirs], [{}], infos)

    mine = case.logits.clone().requires_grad_()
    soft, windows = mine.sigmoid(), box_windows(case.boxes, STRIDE, FRAME)
    similar = similar_neighbours(case.image, STRIDE, OFFSETS, 0.3)
    edges = count_edges(similar, OFFSETS, windows)[case.instances].sum()
    projection = projection_loss(soft, windows, case.instances).mean()
    pairwise = pairwise_loss(soft, similar, OFFSETS, windows, case.instances).sum() / edges
    pairwise = pairwise * min(iteration / 1000, 1)
    torch.testing.assert_close(projection, expected["loss_mask_project"])
    torch.testing.assert_close(pairwise, expected["loss_mask_pairwise"])
    (reference,) = torch.autograd.grad(sum(expected.values()), logits)
    (gradient,) = torch.autograd.grad(projection + pairwise, mine)
    torch.testing.assert_close(gradient, reference)
