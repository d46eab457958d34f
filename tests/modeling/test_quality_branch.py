"""The branch that says how well masks fit, and category losses that know it, as parts of the models."""

import copy
import math

import pytest
import torch

from solo.inference.tiling import TileRule, find_in_tiles
from solo.inference.tta import SOLOWithTTA
from solo.layers.masks import downsample_masks
from tests.conftest import build, make_cfg, training_item
from tests.modeling.test_early_keys import losses_and_gradients
from tests.modeling.test_mask_quality import batch, lively

CATEGORIES = ("quality_focal", "varifocal", "rank_sort")


def quality_cfg(variant="SOLOv2", *, category="focal", enabled=True):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.LOSS.CATEGORY = category
    cfg.MODEL.SOLO.QUALITY.ENABLED, cfg.MODEL.SOLO.QUALITY.WEIGHT = enabled, 0.5
    return cfg


def branch_loss_by_loop(model, items):
    """Cross entropy with the IoU of each positive cell's mask, a cell at a time; no two objects share a cell."""
    images = model.preprocess(items)
    size = tuple(images.tensor.shape[-2:])
    outputs = model.run_network(images.tensor)
    logits = torch.cat([level.flatten(2) for level in outputs.quality_logits], dim=2)[:, 0]
    truth = [copy.copy(item["instances"]) for item in items]
    for instances in truth:
        instances.gt_masks = instances.gt_masks.tensor
    values, ious = [], []
    for image, target in enumerate(model.assigner.of_batch(truth, size)):
        assert len(target.cells.unique()) == len(target.cells)
        for cell, instance in zip(target.cells.tolist(), target.instances.tolist(), strict=True):
            level = int(model.head.grids.levels_of(torch.tensor([cell])))
            stride = model.head.mask_strides[level]
            frame = (size[0] // stride, size[1] // stride)
            soft = model.head.soft_masks(outputs.masks, image, torch.tensor([cell]), frame)[0]
            true = downsample_masks(truth[image].gt_masks[[instance]], stride, frame)[0]
            shown = soft > 0.5
            iou = (shown & true).sum().item() / max((shown | true).sum().item(), 1)
            x = logits[image, cell].item()
            values.append(iou * math.log1p(math.exp(-x)) + (1 - iou) * math.log1p(math.exp(x)))
            ious.append(iou)
    assert max(ious) > 0
    return sum(values) / len(values)


def test_the_loss_of_the_branch_equals_the_loop(variant):
    model = lively(quality_cfg(variant))
    torch.nn.init.normal_(model.head.quality_predictor.weight, std=0.1)
    expected = 0.5 * branch_loss_by_loop(model, batch())
    losses = model(batch())
    assert losses["loss_quality"].item() == pytest.approx(expected, rel=1e-4)


def test_without_the_branch_all_else_is_the_same(variant):
    plain, model = (build(quality_cfg(variant, enabled=enabled)) for enabled in (False, True))
    assert plain.head.quality_predictor is None
    added = model.state_dict().keys() - plain.state_dict().keys()
    assert added == {"head.quality_predictor.weight", "head.quality_predictor.bias"}
    assert all(torch.equal(model.state_dict()[key], one) for key, one in plain.state_dict().items())
    expected, losses = plain(batch()), model(batch())
    assert losses.keys() - expected.keys() == {"loss_quality"}
    assert all(torch.equal(losses[name], one) for name, one in expected.items())


@pytest.mark.parametrize("category", CATEGORIES)
def test_learns_and_finds(category):
    model = build(quality_cfg(category=category))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0)
    for _ in range(40):
        losses = model([training_item()])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["loss_mask"] < 1.2
    model.head.eval()  # batch normalisation of the backbone keeps the statistics of the one image
    outputs = model.run_network(model.preprocess([training_item()]).tensor)
    found = model.postprocessor.probabilities(*outputs.cell_logits)[0].amax(dim=0)
    assert min(found[0], found[2]) > 5 * found[1]


@pytest.mark.parametrize("category", CATEGORIES)
def test_mixed_precision_and_images_without_objects(category):
    model = build(quality_cfg(category=category))
    nothing = training_item(boxes=(), classes=(), seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for items in ([training_item(), nothing], [nothing]):
            losses, gradients = losses_and_gradients(model, items)
            assert all(map(math.isfinite, losses.values()))
            assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert losses["loss_quality"] == 0


@pytest.mark.parametrize("category", CATEGORIES)
def test_recomputing_changes_no_number(category):
    cfg = quality_cfg(category=category)
    expected, gradients = losses_and_gradients(build(cfg), batch())
    cfg.MODEL.SOLO.RECOMPUTE = "cheap"
    losses, others = losses_and_gradients(build(cfg), batch())
    assert losses == pytest.approx(expected, rel=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, msg=name)


def test_scores_are_multiplied_by_the_quality():
    cfg = quality_cfg()
    cfg.MODEL.SOLO.TEST.SCORE_THRESH, cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 1e-4, 0.0
    cfg.MODEL.SOLO.TEST.NMS_SIGMA, cfg.MODEL.SOLO.QUALITY.EXPONENT = 0.0, 0.5
    model = build(cfg).eval()
    torch.nn.init.constant_(model.head.quality_predictor.weight, 0.0)
    scores = []
    for bias in (30.0, math.log(0.25 / 0.75)):  # qualities of 1 and 1 / 4
        torch.nn.init.constant_(model.head.quality_predictor.bias, bias)
        scores.append(model([training_item()])[0]["instances"].scores)
    assert len(scores[0]) > 5
    torch.testing.assert_close(scores[1], scores[0] / 2)


def test_views_and_tiles():
    cfg = quality_cfg(category="varifocal")
    cfg.MODEL.SOLO.TEST.SCORE_THRESH, cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.002, 0.0
    cfg.TEST.AUG.MIN_SIZES, cfg.TEST.AUG.FLIP = (64,), False
    model = build(cfg).eval()
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    plain = model([{"image": image}])[0]["instances"]
    views = SOLOWithTTA(cfg, model)([{"image": image}])[0]["instances"]
    assert len(plain) > 10 and torch.equal(views.scores, plain.scores)

    def find(pictures):
        tensors = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures]
        return [model([{"image": tensor}])[0]["instances"] for tensor in tensors]

    rule = TileRule(size=64, overlap=0.25, whole=False)
    assert len(find_in_tiles(image.permute(1, 2, 0).numpy(), find, rule))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("QUALITY.WEIGHT", -1.0, "QUALITY.WEIGHT is -1.0; give"),
        ("QUALITY.EXPONENT", -1.0, "QUALITY.EXPONENT is -1.0; give"),
        ("TEST.LABELS_PER_CELL", -1, "LABELS_PER_CELL is -1; give"),
        ("LOSS.SUPERVISION", "box", 'MODEL.SOLO.QUALITY.ENABLED.*LOSS.SUPERVISION "box"'),
    ],
)
def test_values_that_make_no_sense_are_named(key, value, message):
    cfg = quality_cfg("SOLO")
    cfg.merge_from_list([f"MODEL.SOLO.{key}", value])
    with pytest.raises(ValueError, match=message):
        build(cfg)
