"""Dynamic k against loops over objects and cells, written from its description, and by hand."""

import copy
import math
from functools import partial

import pytest
import torch
from detectron2.utils.events import EventStorage

from solo.layers.masks import downsample_masks
from solo.modeling.dynamic_assignment import DynamicAssigner, DynamicK
from solo.modeling.predictions import Predictions
from tests.conftest import build, make_cfg, training_item

SIZE = (64, 64)


def dynamic_cfg(variant="SOLOv2", **keys):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.ASSIGNMENT, cfg.MODEL.SOLO.DYNAMIC.WARMUP_ITERS = "dynamic", 0
    for key, value in keys.items():
        cfg.MODEL.SOLO.DYNAMIC[key] = value
    return cfg


def items():
    """Crowded, two objects, none, one."""
    rows = [(x, y, x + 20, y + 24) for x in (2, 12, 24) for y in (4, 20)]
    boxes = [rows, ((8, 8, 28, 28), (32, 28, 54, 50)), (), ((3, 3, 60, 60),)]
    classes = [[0, 1, 2, 0, 1, 2], [0, 2], [], [1]]
    pairs = enumerate(zip(boxes, classes, strict=True))
    return [training_item(*pair, seed=seed) for seed, pair in pairs]


def truth_of(batch):
    truth = [copy.copy(item["instances"]) for item in batch]
    for instances in truth:
        instances.gt_masks = instances.gt_masks.tensor
    return truth


def naive_choice(candidates, topk, min_cells):
    """Return own and shared pairs of (cell, instance, cost, iou) of one batch, one object at a time."""
    of_instance = {}
    for pair in candidates:
        of_instance.setdefault(pair[1], []).append(pair)
    claims = {}
    for pairs in of_instance.values():
        best = sorted((iou for *_, iou in pairs), reverse=True)[:topk]
        count = max(int(sum(best)), min_cells)
        for pair in sorted(pairs, key=lambda pair: pair[2])[:count]:
            claims.setdefault(pair[0], []).append(pair)
    own = {cell: min(pairs, key=lambda pair: pair[2]) for cell, pairs in claims.items()}
    late = {}
    for instance, pairs in of_instance.items():
        if instance not in {pair[1] for pair in own.values()}:
            free = [pair for pair in pairs if pair[0] not in own]
            if free:
                pair = min(free, key=lambda pair: pair[2])
                late.setdefault(pair[0], []).append(pair)
    own |= {cell: min(pairs, key=lambda pair: pair[2]) for cell, pairs in late.items()}
    owners = {pair[1] for pair in own.values()}
    shared = [
        min(pairs, key=lambda pair: pair[2])
        for instance, pairs in of_instance.items()
        if instance not in owners
    ]
    return {pair[:2] for pair in own.values()}, {pair[:2] for pair in shared}


def choose(candidates, **rule):
    cells, instances, costs, ious = (
        torch.tensor(column) for column in zip(*candidates, strict=True)
    )
    own, shares = DynamicK(**rule)(cells, instances, costs.float(), ious.float())
    pairs = list(zip(cells.tolist(), instances.tolist(), strict=True))
    return tuple(
        {pair for pair, is_chosen in zip(pairs, chosen.tolist(), strict=True) if is_chosen}
        for chosen in (own, shares)
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("num_cells", [3, 8, 40])
def test_the_choice_equals_the_loop(seed, num_cells):
    draw = torch.Generator().manual_seed(seed)
    places = torch.rand(num_cells, 9, generator=draw).lt(0.4).nonzero().tolist()
    costs = torch.randperm(len(places), generator=draw).tolist()  # no two alike
    ious = (torch.randint(0, 17, (len(places),), generator=draw) / 16).tolist()  # exact sums
    candidates = [(*pair, *rest) for pair, *rest in zip(places, costs, ious, strict=True)]
    for rule in ({"topk": 10, "min_cells": 1}, {"topk": 3, "min_cells": 2}):
        own, shared = choose(candidates, **rule)
        assert (own, shared) == naive_choice(candidates, **rule)
        # Nobody that has a candidate goes without a cell, and a cell is nobody's twice.
        assert {i for _, i in own | shared} == {i for _, i, *_ in candidates}
        assert len({cell for cell, _ in own}) == len(own)


def test_the_choice_by_hand():
    # The IoUs of the best two of object 0 add up to 1.7: one cell; of object 1 to 2.0: two.
    candidates = [
        (10, 0, 1.0, 0.9),
        (11, 0, 0.5, 0.8),
        (12, 0, 2.0, 0.7),
        (20, 1, 3.0, 1.0),
        (21, 1, 1.0, 1.0),
        (22, 1, 2.0, 0.5),
    ]
    assert choose(candidates, topk=2) == ({(11, 0), (21, 1), (22, 1)}, set())


def test_who_loses_all_takes_a_free_cell_or_shares():
    beaten = [(1, 0, 0.1, 0.9), (1, 1, 0.2, 0.9), (2, 1, 5.0, 0.1), (3, 1, 4.0, 0.1)]
    assert choose(beaten) == ({(1, 0), (3, 1)}, set())
    # Both of the others want cell 2; the dearer one has nothing else, and shares what it likes most.
    crowd = [*beaten[:3], (1, 2, 0.3, 0.9), (2, 2, 6.0, 0.1)]
    assert choose(crowd) == ({(1, 0), (2, 1)}, {(1, 2)})


def test_nothing_to_choose_from():
    none = torch.zeros(0, dtype=torch.int64)
    own, shares = DynamicK()(none, none, torch.zeros(0), torch.zeros(0))
    assert own.shape == shares.shape == (0,)


def predict(model, batch):
    outputs = model.run_network(model.preprocess(batch).tensor)
    logits = torch.cat([level.flatten(2) for level in outputs.category_logits], dim=2).mT
    decoder = partial(model.head.decoder, outputs.masks)
    return Predictions(logits, decoder, min(model.head.mask_strides))


def naive_candidates(predictions, image, truth, region, weight):
    """Cost and IoU of each pair of a region, decoded alone."""
    targets = region(truth.gt_boxes.tensor, truth.gt_classes, truth.gt_masks, SIZE)
    frame = (SIZE[0] // predictions.stride, SIZE[1] // predictions.stride)
    shown = downsample_masks(truth.gt_masks, predictions.stride, frame).double()
    for cell, instance in zip(targets.cells.tolist(), targets.instances.tolist(), strict=True):
        p = predictions.decoder(image, frame)(torch.tensor([cell]))[0].double()
        t = shown[instance]
        iou = ((p * t).sum() / (p * p + t * t - p * t).sum()).item()
        logits = predictions.logits[image, cell].double()
        softmax = len(logits) == 4
        probability = (logits.softmax(0) if softmax else logits.sigmoid())[
            truth.gt_classes[instance]
        ]
        yield cell, instance, -math.log(probability) - weight * math.log(iou + 1e-8), iou


@pytest.mark.parametrize("category", ["focal", "softmax"])
@torch.no_grad()
def test_targets_equal_the_loop(variant, category):
    cfg = dynamic_cfg(variant, MIN_CELLS=3, MASK_WEIGHT=2.0)
    cfg.MODEL.SOLO.LOSS.CATEGORY = category
    cfg.MODEL.SOLO.SCALE_MARGIN = 1.5
    model = build(cfg)
    batch = items()
    predictions = predict(model, batch)
    # Untrained cells say much the same: without ties there is one right answer.
    spread = 3 * torch.randn(predictions.logits.shape, generator=torch.Generator().manual_seed(1))
    predictions = predictions._replace(logits=predictions.logits + spread)
    truth = truth_of(batch)
    found = model.assigner.of_batch(truth, SIZE, predictions)
    region = make_cfg(variant)
    region.MODEL.SOLO.SIGMA, region.MODEL.SOLO.CENTER_RADIUS = 0.6, 2
    region.MODEL.SOLO.COLLISIONS, region.MODEL.SOLO.SCALE_MARGIN = "all", 1.5
    region = build(region).assigner
    for image, (target, instances) in enumerate(zip(found, truth, strict=True)):
        candidates = naive_candidates(predictions, image, instances, region, weight=2.0)
        own, shared = naive_choice(list(candidates), topk=10, min_cells=3)
        pairs = list(zip(target.cells.tolist(), target.instances.tolist(), strict=True))
        assert set(pairs) == own | shared and len(pairs) == len(own | shared)
        assert target.cells.tolist() == sorted(target.cells.tolist())
        categories = torch.full((model.head.grids.num_cells,), 3)
        for cell, instance in own:
            categories[cell] = instances.gt_classes[instance]
        assert torch.equal(target.categories, categories)
        assert len(target.instances.unique()) == len(instances)


@torch.no_grad()
def test_better_masks_get_more_cells():
    model = build(dynamic_cfg())
    truth = truth_of(items()[-1:])
    t = downsample_masks(truth[0].gt_masks, 4, (16, 16)).float()
    logits = torch.zeros(1, model.head.grids.num_cells, 3)
    counts = []
    for share in (0.0, 0.5, 1.0):
        soft = share * t + (1 - share) * (1 - t)

        def decoder(image, size, soft=soft):
            return lambda cells: soft.expand(len(cells), 16, 16)

        (target,) = model.assigner.of_batch(truth, SIZE, Predictions(logits, decoder, 4))
        counts.append(len(target.cells))
    # IoU 0; pt / (p^2 + t^2 - pt) = t / (2 t + rest) of .25, .25 and .5; 1.
    area, rest = float(t.sum()), float(256 - t.sum())
    half = 0.5 * area / (0.25 * 256 + area - 0.5 * area)
    assert counts == [1, int(10 * half), 10] and rest > 0


def test_the_warm_up_is_the_grid_and_depends_on_the_iteration_alone():
    cfg = dynamic_cfg(WARMUP_ITERS=7, MIN_CELLS=4)
    model, grid = build(cfg), build(make_cfg())
    assert isinstance(model.assigner, DynamicAssigner)
    batch = items()
    results = {}
    for iteration in (6, 7):
        with EventStorage(iteration):
            assert model.assigner.needs_predictions == (iteration == 7)
            results[iteration] = copy.deepcopy(model)(batch)
            expected = copy.deepcopy(grid)(batch)
        same = [torch.equal(results[iteration][name], loss) for name, loss in expected.items()]
        assert same == [iteration == 6] * 2
    assert model.assigner.needs_predictions and not grid.assigner.needs_predictions


def test_without_predictions_it_is_the_grid():
    model, grid = build(dynamic_cfg()), build(make_cfg())
    for truth in truth_of(items()):
        arguments = truth.gt_boxes.tensor, truth.gt_classes, truth.gt_masks, SIZE
        for ours, theirs in zip(model.assigner(*arguments), grid.assigner(*arguments), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("negatives", [0.0, 1.0])
def test_every_head_learns_in_mixed_precision(variant, negatives):
    cfg = dynamic_cfg(variant)
    cfg.MODEL.SOLO.LOSS.NEGATIVES = negatives
    model = build(cfg)
    for batch in (items(), items()[2:3]):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = model(batch)
        sum(losses.values()).backward()
        assert all(torch.isfinite(loss) for loss in losses.values())
        gradients = {name: p.grad for name, p in model.named_parameters()}
        assert all(g is not None and torch.isfinite(g).all() for g in gradients.values())
    # Weights that were cast for the choice alone, without a gradient, are not those of the losses.
    gradients = []
    for cached in (True, False):
        twin = copy.deepcopy(model)
        twin.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cached):
            sum(twin(items()).values()).backward()
        gradients.append({name: bool(p.grad.any()) for name, p in twin.named_parameters()})
    assert gradients[0] == gradients[1]


@pytest.mark.parametrize("category", ["focal", "quality_focal", "rank_sort"])
def test_recomputing_and_losses_that_know_the_mask(variant, category):
    cfg = dynamic_cfg(variant, MIN_CELLS=3)
    cfg.MODEL.SOLO.LOSS.CATEGORY = category
    plain = build(cfg)
    cfg.MODEL.SOLO.RECOMPUTE = "all"
    losses, gradients = [], []
    for model in (plain, build(cfg)):
        found = model(items())
        sum(found.values()).backward()
        losses.append({name: loss.item() for name, loss in found.items()})
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"SIGMA": -0.1}, "DYNAMIC.SIGMA is -0.1; it has to be 0 at least"),
        ({"TOPK": 0}, "DYNAMIC.TOPK is 0; it has to be 1 at least"),
        ({"MIN_CELLS": 0}, "DYNAMIC.MIN_CELLS is 0; it has to be 1 at least"),
        ({"WARMUP_ITERS": -5}, "DYNAMIC.WARMUP_ITERS is -5"),
    ],
)
def test_numbers_that_make_no_sense_are_named(keys, words):
    with pytest.raises(ValueError, match=words):
        build(dynamic_cfg(**keys))


def test_boxes_have_no_masks_to_compare():
    cfg = dynamic_cfg()
    cfg.MODEL.SOLO.LOSS.SUPERVISION = "box"
    with pytest.raises(ValueError, match="compares masks"):
        build(cfg)
    cfg.MODEL.SOLO.ASSIGNMENT = "simota"
    with pytest.raises(ValueError, match="ASSIGNMENT is 'simota'; use one of grid, dynamic"):
        build(cfg)
