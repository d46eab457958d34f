"""Targets against a loop over instances and cells, written from the paper (SOLO section 3.3.1)."""

import math
from dataclasses import replace

import pytest
import torch

from solo.modeling.grids import Grids
from solo.modeling.targets import TargetAssigner
from tests.conftest import build, make_cfg

SIZE = (128, 160)
SIDES = (10, 6, 4)
RANGES = ((1, 24), (16, 64), (48, 256))


def assigner(**changes):
    arguments = {
        "grids": Grids(SIDES),
        "scale_ranges": RANGES,
        "sigma": 0.2,
        "center_radius": 1,
        "collisions": "all",
        "num_classes": 5,
    }
    return TargetAssigner(**{**arguments, **changes})


def random_instances(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(count, *SIZE, dtype=torch.bool)
    boxes = torch.zeros(count, 4)
    for index in range(count):
        width, height = torch.randint(1, 90, (2,), generator=generator).tolist()
        left = torch.randint(0, SIZE[1] - width + 1, (1,), generator=generator).item()
        top = torch.randint(0, SIZE[0] - height + 1, (1,), generator=generator).item()
        noise = torch.rand(height, width, generator=generator) > 0.5
        masks[index, top : top + height, left : left + width] = noise
        boxes[index] = torch.tensor([left, top, left + width, top + height])
    return boxes, torch.randint(0, 5, (count,), generator=generator), masks


def naive_pairs(boxes, masks, sigma, radius, margin=1):
    """All (level, cell, instance), one at a time, in float64."""
    pairs = []
    for level, (side, (low, high)) in enumerate(zip(SIDES, RANGES, strict=True)):
        for index, (box, mask) in enumerate(zip(boxes.tolist(), masks, strict=True)):
            width, height = box[2] - box[0], box[3] - box[1]
            if not low / margin <= math.sqrt(width * height) <= high * margin or not mask.any():
                continue
            center_y, center_x = mask.nonzero().double().mean(dim=0).tolist()

            def cell(position, extent, side=side):
                return min(max(math.floor(position / extent * side), 0), side - 1)

            def span(center, length, extent, cell=cell):
                own, reach = cell(center, extent), 0.5 * sigma * length
                first, last = cell(center - reach, extent), cell(center + reach, extent)
                if radius:
                    first, last = max(first, own - radius), min(last, own + radius)
                return range(first, last + 1)

            for row in span(center_y, height, SIZE[0]):
                for column in span(center_x, width, SIZE[1]):
                    pairs.append((level, row * side + column, index))
    return pairs


@pytest.mark.parametrize(
    ("sigma", "radius", "margin"), [(0.2, 1, 1), (1.0, 1, 1), (1.0, 0, 1), (0.2, 1, 1.5)]
)
def test_pairs_equal_the_loop(sigma, radius, margin):
    boxes, classes, masks = random_instances(25)
    rule = assigner(sigma=sigma, center_radius=radius, scale_margin=margin)
    targets = rule(boxes, classes, masks, SIZE)
    grids = Grids(SIDES)
    levels = grids.levels_of(targets.cells)
    local = targets.cells - torch.tensor(grids.offsets)[levels]
    actual = list(zip(levels.tolist(), local.tolist(), targets.instances.tolist(), strict=True))
    assert actual == naive_pairs(boxes, masks, sigma, radius, margin)


def test_last_instance_names_the_category():
    boxes, classes, masks = random_instances(40)
    targets = assigner(sigma=1.0)(boxes, classes, masks, SIZE)
    expected = torch.full((sum(s * s for s in SIDES),), 5)
    for cell, instance in zip(targets.cells.tolist(), targets.instances.tolist(), strict=True):
        expected[cell] = classes[instance]
        if (targets.cells == cell).sum() > 1:
            claims = targets.instances[targets.cells == cell]
            expected[cell] = classes[claims.max()]
    assert torch.equal(targets.categories, expected)


@pytest.mark.parametrize("policy", ["last", "smallest"])
def test_collision_policies_keep_one_instance_a_cell(policy):
    boxes, classes, masks = random_instances(40)
    every = assigner(sigma=1.0)(boxes, classes, masks, SIZE)
    one = assigner(sigma=1.0, collisions=policy)(boxes, classes, masks, SIZE)
    assert one.cells.unique().tolist() == one.cells.tolist() == every.cells.unique().tolist()
    assert len(every.cells) > len(one.cells)  # there were collisions
    areas = masks.sum(dim=(1, 2))
    for cell, instance in zip(one.cells, one.instances, strict=True):
        claims = every.instances[every.cells == cell]
        best = (
            claims.max() if policy == "last" else claims[areas[claims] == areas[claims].min()][-1]
        )
        assert instance == best
        assert one.categories[cell] == classes[best]


def test_scale_range_includes_both_ends():
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[0, 10:34, 10:34] = True  # 24 pixels: the end of level 0, within level 1
    masks[1, 50:66, 50:66] = True  # 16 pixels: the beginning of level 1, within level 0
    boxes = torch.tensor([[10.0, 10, 34, 34], [50, 50, 66, 66]])
    targets = assigner()(boxes, torch.tensor([0, 1]), masks, SIZE)
    levels = Grids(SIDES).levels_of(targets.cells)
    found = set(zip(levels.tolist(), targets.instances.tolist(), strict=True))
    assert found == {(0, 0), (1, 0), (0, 1), (1, 1)}


def test_a_margin_teaches_two_levels_what_lies_between_them():
    masks = torch.zeros(1, *SIZE, dtype=torch.bool)
    masks[0, 10:38, 10:38] = True  # 28 pixels: beyond the 24 of level 0, within 24 * 1.2
    boxes, classes = torch.tensor([[10.0, 10, 38, 38]]), torch.tensor([0])
    for margin, levels in ((1.0, [1]), (1.1, [1]), (1.2, [0, 1])):
        rule = assigner(scale_margin=margin)
        targets = rule(boxes, classes, masks, SIZE)
        assert Grids(SIDES).levels_of(targets.cells).unique().tolist() == levels
    assert rule.reaches[0] == (1 / 1.2, 24 * 1.2)
    assert replace(rule, scale_ranges=((1, 8), *RANGES[1:])).reaches[0] == (1 / 1.2, 8 * 1.2)


def test_nothing_to_assign():
    none = assigner()(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, *SIZE).bool(), SIZE
    )
    assert (none.categories == 5).all() and none.cells.shape == none.instances.shape == (0,)
    empty = assigner()(
        torch.tensor([[3.0, 3, 20, 20]]), torch.tensor([1]), torch.zeros(1, *SIZE).bool(), SIZE
    )
    assert (empty.categories == 5).all() and len(empty.cells) == 0


def test_one_pixel():
    masks = torch.zeros(1, *SIZE, dtype=torch.bool)
    masks[0, 127, 159] = True
    box = torch.tensor([[159.0, 127, 160, 128]])
    targets = assigner()(box, torch.tensor([3]), masks, SIZE)
    assert targets.cells.tolist() == [99]  # the last cell of level 0
    assert targets.categories[99] == 3


def test_six_hundred_instances():
    boxes, classes, masks = random_instances(600)
    targets = assigner()(boxes, classes, masks, SIZE)
    pairs = naive_pairs(boxes[500:], masks[500:], 0.2, 1)
    assert (targets.instances >= 500).sum() == len(pairs)


def test_rules_that_contradict_themselves():
    with pytest.raises(ValueError, match="SCALE_RANGES has 2 entries and NUM_GRIDS 3"):
        assigner(scale_ranges=RANGES[:2])
    with pytest.raises(ValueError, match="all, last, smallest"):
        assigner(collisions="first")
    with pytest.raises(ValueError, match=r"SCALE_MARGIN is 0\.5; give a factor"):
        assigner(scale_margin=0.5)


@pytest.mark.parametrize("collisions", ["", "smallest"])
def test_the_rule_of_a_config_is_that_of_its_model(variant, collisions):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.COLLISIONS = collisions
    model = build(cfg)
    rule = type(model).build_assigner(cfg)
    assert rule.grids.sides == model.head.grids.sides
    assert replace(rule, grids=model.assigner.grids) == model.assigner
    assert rule.collisions == (collisions or model.head.default_collisions)


def test_a_range_is_a_pair():
    cfg = make_cfg()
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 24, 48]] * 5
    with pytest.raises(ValueError, match=r"SCALE_RANGES is .* give \[low, high\]"):
        TargetAssigner.from_config(cfg, Grids(cfg.MODEL.SOLO.NUM_GRIDS), "all")
