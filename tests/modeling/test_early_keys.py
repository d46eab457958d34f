"""The keys of the early SOLO: each against a loop, alike for parts, workers' counts and RECOMPUTE, and finite."""

import copy
import math

import pytest
import torch
from detectron2.utils.events import EventStorage

from solo.inference.tiling import TileRule, find_in_tiles
from solo.inference.tta import SOLOWithTTA
from solo.layers.masks import downsample_masks
from solo.modeling.heads.predictors import SoftmaxPredictor
from solo.modeling.losses import dice_loss, softmax_loss
from tests.conftest import build, make_cfg, training_item

KEYS = {
    "CENTER": ("CENTER", "box"),
    "MASK_STRIDE": ("LOSS.MASK_STRIDE", 8),
    "NEGATIVES": ("LOSS.NEGATIVES", 1.0),
    "DICE_SMOOTH": ("LOSS.DICE_SMOOTH", 1.0),
    "CATEGORY": ("LOSS.CATEGORY", "softmax"),
    "CATEGORY_NORMALIZER": ("LOSS.CATEGORY_NORMALIZER", "images"),
}
every_key = pytest.mark.parametrize("key", KEYS)


def cfg_with(variant, *names):
    """A tiny model with some of the keys switched; objects off their boxes' centres tell CENTER."""
    cfg = make_cfg(variant)
    pairs = [part for name in names for part in (f"MODEL.SOLO.{KEYS[name][0]}", KEYS[name][1])]
    cfg.merge_from_list(pairs)
    return cfg


def corner_item(seed=0):
    """An image with a triangle, whose mass is not in the middle of its box, and a rectangle."""
    item = training_item(boxes=((4, 4, 58, 58), (36, 8, 60, 30)), classes=(0, 2), seed=seed)
    masks = item["instances"].gt_masks.tensor
    masks[0] &= torch.ones(64, 64).tril().bool()
    return item


def no_objects(seed=1):
    return training_item(boxes=(), classes=(), seed=seed)


def losses_and_gradients(model, batch, **options):
    model.zero_grad()
    losses = model(batch, **options)
    sum(losses.values()).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    return {name: loss.item() for name, loss in losses.items()}, gradients


def mask_loss_by_loop(model, items, smooth, mask_stride):
    """Section 3.3 of the early SOLO, a cell at a time: dice of each pair, and of what negatives leave free."""
    images = model.preprocess(items)
    size = tuple(images.tensor.shape[-2:])
    outputs = model.run_network(images.tensor)
    truth = [copy.copy(item["instances"]) for item in items]
    for instances in truth:
        instances.gt_masks = instances.gt_masks.tensor
    values = []
    for image, target in enumerate(model.assigner.of_batch(truth, size)):
        pairs = [*zip(target.cells.tolist(), target.instances.tolist(), strict=True)]
        for cell, instance in [*pairs, *((cell, None) for cell in target.negatives.tolist())]:
            level = int(model.head.grids.levels_of(torch.tensor([cell])))
            stride = mask_stride or model.head.mask_strides[level]
            frame = (size[0] // stride, size[1] // stride)
            p = model.head.soft_masks(outputs.masks, image, torch.tensor([cell]), frame)[0].double()
            if instance is None:
                p, t = 1 - p, torch.ones_like(p)
            else:
                t = downsample_masks(truth[image].gt_masks[[instance]], stride, frame)[0].double()
            below = p.square().sum() + t.square().sum() + (smooth or 0.002)
            values.append(1 - (2 * (p * t).sum() + smooth) / below)
    return 3 * sum(values) / len(values)


@pytest.mark.parametrize("names", [[key] for key in KEYS] + [[*KEYS]], ids="-".join)
def test_the_mask_loss_equals_the_loop(variant, names):
    model = build(cfg_with(variant, *names))
    items = [corner_item(), no_objects(), corner_item(seed=2)]
    smooth = 1.0 if "DICE_SMOOTH" in names else 0.0
    stride = 8 if "MASK_STRIDE" in names else 0
    # In training mode both: batch normalisation takes the same statistics.
    expected = mask_loss_by_loop(model, items, smooth, stride)
    assert model(items)["loss_mask"].item() == pytest.approx(expected.item(), rel=1e-5)


@every_key
def test_recomputing_changes_no_number(key):
    cfg = cfg_with("SOLO", key)
    plain = build(cfg)
    cfg.MODEL.SOLO.RECOMPUTE = "cheap"
    lean = build(cfg)
    batch = [corner_item(), no_objects()]
    (expected, gradients), (losses, others) = (
        losses_and_gradients(model, batch) for model in (plain, lean)
    )
    assert losses == pytest.approx(expected, rel=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, msg=name)


@every_key
def test_mixed_precision_and_images_without_objects(key):
    model = build(cfg_with("SOLO", key))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for batch in ([corner_item(), no_objects()], [no_objects()]):
            losses, gradients = losses_and_gradients(model, batch)
            assert all(map(math.isfinite, losses.values()))
            assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert losses["loss_mask"] == 0


def test_center_of_the_box():
    item = corner_item()
    cells = {}
    for name, names in (("mass", []), ("box", ["CENTER"])):
        cfg = cfg_with("SOLO", *names)
        cfg.MODEL.SOLO.NUM_GRIDS, cfg.MODEL.SOLO.SIGMA = [8] * 5, 0.01
        assigner = build(cfg).assigner
        instances = item["instances"]
        boxes, masks = instances.gt_boxes.tensor, instances.gt_masks.tensor
        target = assigner(boxes, instances.gt_classes, masks, (64, 64))
        cells[name] = {divmod(int(c) % 64, 8) for c in target.cells[target.instances == 0]}
    # Row and column of 8 pixels: of the box's middle, 31; of the triangle's mass, two thirds down, one to the right.
    assert cells["box"] == {(3, 3)} and cells["mass"] == {(4, 2)}


def test_the_scale_of_the_masks_that_the_head_has_changes_nothing():
    cfg = make_cfg("SOLOv2")
    expected = losses_and_gradients(build(cfg), [corner_item()])
    cfg.MODEL.SOLO.LOSS.MASK_STRIDE = 4  # of the mask feature
    losses, gradients = losses_and_gradients(build(cfg), [corner_item()])
    assert losses == expected[0]
    assert all(torch.equal(gradients[name], one) for name, one in expected[1].items())


def drawn(iteration, *, negatives=1.0, seed=0):
    cfg = make_cfg("SOLO")
    cfg.MODEL.SOLO.LOSS.NEGATIVES, cfg.SEED = negatives, seed
    instances = corner_item()["instances"]
    with EventStorage(iteration):
        boxes, masks = instances.gt_boxes.tensor, instances.gt_masks.tensor
        return build(cfg, seed=iteration).assigner(boxes, instances.gt_classes, masks, (64, 64))


def test_negatives_are_drawn_of_the_background_of_each_level():
    grids = build(make_cfg("SOLO")).assigner.grids
    for per_pair in (0.5, 1.0, 1000.0):
        target = drawn(0, negatives=per_pair)
        assert (target.categories[target.negatives] == 3).all()
        assert len(target.negatives.unique()) == len(target.negatives)
        pairs, cells = (
            grids.levels_of(part).bincount(minlength=5) for part in (target.cells, target.negatives)
        )
        free = grids.levels_of((target.categories == 3).nonzero()[:, 0]).bincount(minlength=5)
        assert torch.equal(cells, torch.minimum((pairs * per_pair).round().long(), free))
    assert len(drawn(0, negatives=0.0).negatives) == 0


def test_the_draw_depends_on_seed_and_iteration_alone():
    torch.manual_seed(5)
    first = drawn(3).negatives
    torch.rand(7)
    assert torch.equal(drawn(3).negatives, first)
    assert not torch.equal(drawn(4).negatives, first)
    assert not torch.equal(drawn(3, seed=1).negatives, first)


def test_softmax_by_a_loop():
    logits = torch.randn(2, 5, 4) * 3
    categories = torch.randint(0, 4, (2, 5))
    expected = 0.0
    for row, category in zip(
        logits.view(-1, 4).tolist(), categories.flatten().tolist(), strict=True
    ):
        expected += math.log(sum(map(math.exp, row))) - row[category]
    assert softmax_loss(logits, categories).item() == pytest.approx(expected, rel=1e-5)


def test_normalisers_of_the_category_loss():
    """Section 3.4: of focal loss and softmax, divided by positives + images; by default positives + 1."""
    batch = [corner_item(), no_objects(), corner_item(seed=2)]
    by_default = build(make_cfg("SOLO"))
    by_images = build(cfg_with("SOLO", "CATEGORY_NORMALIZER"))
    targets = [by_default.assigner.of_batch(truth_of(batch), (64, 64))]
    positive, _, images = by_default.assigner.count(*targets).tolist()
    assert images == 3
    ratio = (positive + 1) / (positive + 3)
    losses = [model(batch)["loss_category"].item() for model in (by_default, by_images)]
    assert losses[1] == pytest.approx(losses[0] * ratio, rel=1e-6)


def truth_of(batch):
    truth = [copy.copy(item["instances"]) for item in batch]
    for instances in truth:
        instances.gt_masks = instances.gt_masks.tensor
    return truth


@pytest.mark.parametrize("smooth", [0.0, 1.0, 50.0])
def test_gradient_of_smooth_dice_by_finite_differences(smooth):
    torch.manual_seed(0)
    soft, masks = torch.rand(2, 4, 5), torch.rand(2, 4, 5) > 0.5
    instances = torch.tensor([1, 0])

    def value(p):
        t = masks[instances].double()
        below = (p * p).sum(dim=(1, 2)) + t.sum(dim=(1, 2)) + (smooth or 0.002)
        return (1 - (2 * (p * t).sum(dim=(1, 2)) + smooth) / below).sum()

    soft.requires_grad_()
    loss = dice_loss(soft, masks, instances, smooth=smooth).sum()
    loss.backward()
    assert loss.item() == pytest.approx(value(soft.detach().double()).item(), rel=1e-6)
    for place in [(0, 0, 0), (0, 3, 4), (1, 2, 2)]:
        step = torch.zeros(2, 4, 5, dtype=torch.float64)
        step[place] = 1e-5
        slope = (value(soft.detach() + step) - value(soft.detach() - step)) / 2e-5
        assert soft.grad[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-6)


def test_log_odds_at_test_are_the_probabilities_of_softmax():
    torch.manual_seed(0)
    predictor = SoftmaxPredictor(6, 3, 3, 0.01)
    features = torch.randn(2, 6, 5, 5)
    first = predictor(features * 0)[0, :, 0, 0].softmax(dim=0)
    torch.testing.assert_close(first[:-1], torch.full((3,), 0.01 / 3))  # PRIOR_PROB, of all three
    torch.nn.init.normal_(predictor.weight, std=2.0)
    expected = predictor(features).softmax(dim=1)[:, :3]
    odds = predictor.eval()(features)
    assert torch.isfinite(odds).all() and expected.max() > 0.999 and expected.min() < 1e-6
    assert (odds.sigmoid() - expected).abs().max() < 1e-6


def test_softmax_learns_and_finds(variant):
    cfg = cfg_with(variant, "CATEGORY")
    model = build(cfg)
    assert model.head.category_predictor.out_channels == 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0)
    for _ in range(60):
        losses = model([training_item()])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["loss_category"] < 0.3
    model.head.eval()  # batch normalisation of the backbone keeps the statistics of the one image
    outputs = model.run_network(model.preprocess([training_item()]).tensor)
    assert all(logits.shape[1] == 3 for logits in outputs.category_logits)
    best = torch.cat([logits.sigmoid().flatten(2) for logits in outputs.category_logits], dim=2)
    assert (best.amax(dim=2)[0, [0, 2]] > 0.5).all() and best.amax(dim=2)[0, 1] < 0.5


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("CENTER", "middle", "MODEL.SOLO.CENTER is 'middle'; use one of mass, box"),
        ("LOSS.CATEGORY", "hinge", "LOSS.CATEGORY is 'hinge'; use one of focal, softmax"),
        ("LOSS.CATEGORY_NORMALIZER", "cells", "is 'cells'; use one of positives, images"),
        ("LOSS.MASK_STRIDE", 3, "MASK_STRIDE is 3; give an even number"),
        ("LOSS.MASK_STRIDE", 24, "MASK_STRIDE is 24; give an even divisor of 32"),
        ("LOSS.NEGATIVES", -1.0, "NEGATIVES is -1.0; give cells per pair"),
        ("LOSS.DICE_SMOOTH", -1.0, "DICE_SMOOTH is -1.0; give pixels"),
    ],
)
def test_values_that_make_no_sense_are_named(key, value, message):
    cfg = make_cfg("SOLO")
    cfg.merge_from_list([f"MODEL.SOLO.{key}", value])
    with pytest.raises(ValueError, match=message):
        build(cfg)


def test_softmax_in_views_and_tiles():
    cfg = cfg_with("SOLOv2", "CATEGORY")
    cfg.MODEL.SOLO.TEST.SCORE_THRESH, cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.002, 0.0
    cfg.TEST.AUG.MIN_SIZES, cfg.TEST.AUG.FLIP = (64,), False
    model = build(cfg).eval()
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    plain = model([{"image": image}])[0]["instances"]
    assert len(plain) > 10 and plain.pred_classes.max() < 3
    views = SOLOWithTTA(cfg, model)([{"image": image}])[0]["instances"]
    assert torch.equal(views.scores, plain.scores)
    assert torch.equal(views.pred_classes, plain.pred_classes)

    def find(pictures):
        tensors = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures]
        return [model([{"image": tensor}])[0]["instances"] for tensor in tensors]

    picture, rule = image.permute(1, 2, 0).numpy(), TileRule(size=64, overlap=0.25, whole=False)
    tiles = find_in_tiles(picture, find, rule)
    assert len(tiles) and tiles.pred_classes.max() < 3 and tiles.image_size == (64, 96)
