"""Ours and mmdetection 3.3.0, side by side, with the same weights on the same inputs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import build_mmdet_detector, to_mmdet_truth

# isort: split
from mmdet_oracle import LEVELS, VARIANTS, Pair, setups
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner.checkpoint import save_checkpoint

from solo.checkpoint import SOLOCheckpointer
from solo.checkpoint.lineages import to_mmdet, to_solo
from solo.config import get_cfg
from solo.layers.masks import downsample_masks

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
CASES = [(variant, index) for variant in VARIANTS for index in (0, 1)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def pair(request):
    variant, index = request.param
    return Pair(setups(variant, seed=30)[index])


def close(actual, expected):
    torch.testing.assert_close(actual, expected, **TOLERANCE)


def mmdet_forward(pair, training=True):
    pair.theirs.train(training)
    return pair.theirs(tuple(pair.features[name] for name in LEVELS))


@torch.no_grad()
def test_head_outputs(pair):
    head = pair.ours.head
    outputs = head(pair.our_features)
    *masks, categories = expected = mmdet_forward(pair)
    if pair.setup.is_solov2:
        kernels, categories, mask_feature = expected
        flat = torch.cat([level.flatten(2) for level in kernels], dim=2)
        close(torch.stack(outputs.masks.kernels), flat.mT)
        close(torch.stack(outputs.masks.feature), mask_feature)
    for level, expected in enumerate(categories):
        close(outputs.category_logits[level], expected)
    if not pair.setup.is_solov2:
        for image in range(len(pair.truth)):
            for level, side in enumerate(head.grids.sides):
                cells = torch.arange(side * side) + head.grids.offsets[level]
                # Decoupled SOLO: the probability of a cell is that of its row times its column's.
                factors = [part[level][image].sigmoid() for part in masks]
                if len(factors) == 2:
                    factors = [(factors[1][:, None] * factors[0][None]).flatten(0, 1)]
                close(head.soft_masks(outputs.masks, image, cells), factors[0])


@torch.no_grad()
def test_targets(pair):
    head, padded = pair.ours.head, pair.setup.padded
    sizes = [(padded[0] // stride, padded[1] // stride) for stride in head.mask_strides]
    shapes = sizes[0] if pair.setup.is_solov2 else sizes
    for ours, theirs in zip(pair.truth, pair.mmdet_truth(), strict=True):
        targets = pair.ours.assigner(ours.gt_boxes.tensor, ours.gt_classes, ours.gt_masks, padded)
        masks, labels, *where = pair.theirs._get_targets_single(theirs, featmap_sizes=shapes)
        levels = head.grids.levels_of(targets.cells)
        for level, side in enumerate(head.grids.sides):
            start, end = head.grids.offsets[level : level + 2]
            assert torch.equal(targets.categories[start:end], labels[level].flatten())
            mine = levels == level
            assert torch.equal(targets.cells[mine] - start, _cells(where[-1][level], side))
            stride = head.mask_strides[level]
            small = downsample_masks(ours.gt_masks, stride, sizes[level])
            assert torch.equal(small[targets.instances[mine]], masks[level].bool())


def _cells(positive, side):
    """Bring what mmdet says about positive cells to numbers: a list, (P, 2) or a mask."""
    positive = torch.as_tensor(positive)
    if positive.dtype == torch.bool:
        return positive.nonzero()[:, 0]
    if positive.ndim == 2:
        return positive[:, 0] * side + positive[:, 1]
    return positive.long()


@torch.no_grad()
def test_losses(pair):
    outputs = pair.ours.head(pair.our_features)
    losses = pair.ours.losses(outputs, pair.truth, pair.setup.padded)
    truth, metas = pair.mmdet_truth(), pair.mmdet_metas()
    expected = pair.theirs.loss_by_feat(*mmdet_forward(pair), truth, metas)
    # mmdet's category loss is divided by the number of positive cells plus one, as ours is.
    close(losses["loss_category"], expected["loss_cls"])
    # mmdet's SOLOv2 adds up the dice of all (cell, instance) pairs and divides by the number of
    # cells; the official code, and ours, divide by the number of pairs.
    pairs, cells = _count(pair)
    assert (pairs > cells) == pair.setup.is_solov2
    close(losses["loss_mask"], expected["loss_mask"] * cells / pairs)


def _count(pair):
    """Count pairs and distinct positive cells of the batch."""
    pairs = cells = 0
    for item in pair.truth:
        targets = pair.ours.assigner(
            item.gt_boxes.tensor, item.gt_classes, item.gt_masks, pair.setup.padded
        )
        pairs += len(targets.cells)
        cells += len(targets.cells.unique())
    return pairs, cells


@torch.no_grad()
def test_detections(pair):
    results = pair.ours.find(pair.ours.head(pair.our_features), pair.setup.sizes)
    metas = pair.mmdet_metas()
    outputs = mmdet_forward(pair, training=False)
    expected = pair.theirs.predict_by_feat(*outputs, batch_img_metas=metas)
    for ours, theirs in zip(results, expected, strict=True):
        # One set-up is limited by the number of instances, the other by the score.
        assert 20 <= len(ours) <= pair.setup.max_instances
        close(ours.scores, theirs.scores)
        assert torch.equal(ours.pred_classes, theirs.labels)
        assert (ours.pred_masks != theirs.masks).float().mean() <= 1e-5


def test_weights_are_equal_after_the_round_trip(pair):
    ours = {key: value for key, value in pair.ours.state_dict().items() if key.startswith("head.")}
    assert ours.keys() == pair.converted.keys()
    theirs = {f"mask_head.{key}": value for key, value in pair.theirs.state_dict().items()}
    assert_equal(to_mmdet(ours), theirs)


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(actual[key], value), key


def test_known_difference_of_a_center_on_a_border_of_cells():
    # The centre of mass, (16, 16) in 128, is the border of cells 4 and 5 of 40. The official code
    # takes the floor of 0.125 / 0.025 in float32, which is 4; mmdet rounds the quotient to 5 first,
    # so its 3 x 3 cells lie one further. Ours are the official ones: see tests/golden/targets.npz.
    setup = replace(setups("solov2", seed=30)[0], num_grids=(40,) * 5, padded=(128, 128), sigma=1.0)
    pair = Pair(setup)
    truth = Instances((128, 128))
    truth.gt_boxes = Boxes(torch.tensor([[0.0, 0.0, 33.0, 33.0]]))
    truth.gt_classes = torch.tensor([0])
    truth.gt_masks = torch.zeros(1, 128, 128, dtype=torch.bool)
    truth.gt_masks[:, :33, :33] = True
    ours = pair.ours.assigner(truth.gt_boxes.tensor, truth.gt_classes, truth.gt_masks, (128, 128))
    *_, theirs = pair.theirs._get_targets_single(to_mmdet_truth(truth, (128, 128)), (32, 32))
    level = 2  # it takes objects of 24 to 96 pixels
    cells = ours.cells[ours.cells >= level * 1600] - level * 1600
    assert (cells // 40).unique().tolist() == (cells % 40).unique().tolist() == [3, 4, 5]
    assert sorted({cell // 40 for cell in theirs[level]}) == [4, 5, 6]


def test_a_checkpoint_of_mmdet_loads_and_goes_back(tmp_path):
    detector = build_mmdet_detector("solov2/solov2_r50_fpn_1x_coco.py")
    path = tmp_path / "epoch_12.pth"
    # As mmengine's CheckpointHook writes it: the log is an object of a class of mmengine.
    log = {"log_scalars": {"loss": HistoryBuffer([1.0], [1])}}
    meta = {"epoch": 12, "mmdet_version": "3.3.0"}
    content = {"meta": meta, "state_dict": detector.state_dict(), "message_hub": log}
    save_checkpoint(content, str(path))
    model = build_from_config("solov2_R_50_FPN_1x")

    SOLOCheckpointer(model, complete=True).load(str(path))

    expected = to_solo(detector.state_dict()).weights
    assert_equal(model.state_dict(), expected)
    assert_equal(to_mmdet(model.state_dict()), detector.state_dict())


def build_from_config(name):
    cfg = get_cfg()
    cfg.merge_from_file(str(Path(__file__).parents[2] / "configs" / "coco" / f"{name}.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    return build_model(cfg)
