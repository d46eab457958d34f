"""SimOTA, against loops over objects and points, and where there is little or nothing to match."""

from dataclasses import replace

import pytest
import torch
from detectron2.structures import Boxes

from solo.yolox.assign import SimOTA, box_iou
from tests.yolox.drawn_images import Drawn, draw_image, match_by_loops

MARGIN = 0.02


@pytest.mark.parametrize("seed", range(20))
def test_matches_are_those_of_loops(seed: int) -> None:
    drawn = draw_image(seed)
    known = match_by_loops(drawn)
    matches = SimOTA()(*drawn.assigned)
    if known.margin > MARGIN:
        assert matches.objects.tolist() == known.objects
        torch.testing.assert_close(matches.ious, torch.tensor(known.ious), atol=1e-5, rtol=0)


def test_most_of_the_images_decide_something() -> None:
    known = [match_by_loops(draw_image(seed)) for seed in range(20)]
    assert sum(one.margin > MARGIN for one in known) >= 12
    # Some objects share their points, some get several, some images have none.
    assert sum(len(set(one.objects) - {-1}) for one in known) >= 40
    assert sum(objects >= 0 for one in known for objects in one.objects) >= 150


def with_truth(drawn: Drawn, boxes: list[list[float]], classes: list[int]) -> Drawn:
    truth = type(drawn.truth)(drawn.truth.image_size)
    truth.gt_boxes = Boxes(torch.tensor(boxes).reshape(-1, 4))
    truth.gt_classes = torch.tensor(classes, dtype=torch.int64)
    return drawn._replace(truth=truth)


@pytest.mark.parametrize(
    "boxes",
    [[], [[-400.0, -400.0, -300.0, -300.0]], [[500.0, 20.0, 501.0, 21.0]]],
    ids=["no object", "outside", "far and tiny"],
)
def test_without_candidates_all_is_background(boxes: list[list[float]]) -> None:
    matches = SimOTA()(*with_truth(draw_image(1), boxes, [0] * len(boxes)).assigned)
    assert matches.objects.tolist() == [-1] * len(matches.ious)
    assert matches.objects.dtype == torch.int64
    assert matches.ious.tolist() == [0.0] * len(matches.ious)


def test_an_object_without_a_point_inside_takes_the_cheapest_one_near() -> None:
    # Of 2 x 2 pixels, between the middles of cells: good for no point, but near to some.
    drawn = with_truth(draw_image(2), [[31.0, 31.0, 33.0, 33.0]], [3])
    matches = SimOTA()(*drawn.assigned)
    assert matches.objects.tolist() == match_by_loops(drawn).objects
    assert (matches.objects == 0).sum() == 1


def test_a_point_that_several_take_goes_to_the_cheapest_of_all() -> None:
    # The third is the first once more, of a class that the points like better.
    drawn = draw_image(3)
    box = [20.0, 20.0, 70.0, 70.0]
    drawn = with_truth(drawn, [box, [22.0, 20.0, 70.0, 72.0], box], [0, 1, 2])
    drawn.raw.categories[..., 2] += 5
    matches = SimOTA()(*drawn.assigned)
    assert matches.objects.tolist() == match_by_loops(drawn).objects
    assert 0 not in matches.objects


def test_candidates_bound_the_points_of_an_object() -> None:
    drawn = with_truth(draw_image(4), [[10.0, 10.0, 90.0, 90.0]], [1])
    perfect = drawn.boxes.clone().copy_(drawn.truth.gt_boxes.tensor.expand_as(drawn.boxes))
    for candidates in (1, 4, 10):
        matches = SimOTA(candidates=candidates)(*drawn._replace(boxes=perfect).assigned)
        assert (matches.objects == 0).sum() == candidates


def test_the_later_rule_looks_at_centres_only() -> None:
    # The middle of the only cell that is near lies outside of the box.
    drawn = with_truth(draw_image(5), [[3.0, 5.0, 5.0, 90.0]], [1])
    later = SimOTA(center_radius=1.5, in_box=False)
    middles = drawn.raw.points + drawn.raw.strides[:, None] / 2
    reach = 1.5 * drawn.raw.strides
    near = ((middles - torch.tensor([4.0, 47.5])).abs() < reach[:, None]).all(dim=1)
    matched = later(*drawn.assigned).objects >= 0
    assert matched.any() and not (matched & ~near).any()
    far = with_truth(drawn, [[0.0, 0.0, 96.0, 96.0]], [1])
    inside_only = (middles[:, 0] < 20) & (drawn.raw.strides == 8)
    assert not (later(*far.assigned).objects[inside_only] >= 0).any()


def test_half_precision_changes_nothing_but_the_input() -> None:
    drawn = draw_image(6)
    raw = drawn.raw._replace(
        objectness=drawn.raw.objectness.bfloat16(), categories=drawn.raw.categories.bfloat16()
    )
    drawn = drawn._replace(raw=raw)
    plain = drawn._replace(
        raw=raw._replace(objectness=raw.objectness.float(), categories=raw.categories.float())
    )
    expected = SimOTA()(*plain.assigned)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        matches = SimOTA()(*drawn.assigned)
    assert torch.equal(matches.objects, expected.objects)
    assert torch.equal(matches.ious, expected.ious)


def test_no_gradient_comes_from_the_matches() -> None:
    drawn = draw_image(7)
    matches = SimOTA()(drawn.boxes.requires_grad_(), *drawn.assigned[1:])
    assert not matches.ious.requires_grad


def test_extreme_outputs_give_finite_costs() -> None:
    drawn = with_truth(draw_image(8), [[10.0, 10.0, 60.0, 60.0]], [2])
    drawn.raw.categories[...] = 200.0
    drawn.raw.objectness[...] = 200.0
    matches = SimOTA()(*drawn.assigned)
    assert (matches.objects == 0).any() and matches.ious.isfinite().all()


def test_iou_by_hand() -> None:
    first = torch.tensor([0.0, 0.0, 4.0, 2.0])
    second = torch.tensor([[2.0, 0.0, 6.0, 2.0], [4.0, 0.0, 5.0, 2.0], [0.0, 0.0, 4.0, 2.0]])
    assert box_iou(first, second).tolist() == pytest.approx([1 / 3, 0, 1])
    nothing = torch.zeros(4)
    assert box_iou(nothing, nothing) == 0


def test_rules_are_read_one_by_one() -> None:
    drawn = draw_image(9, most=12)
    usual = SimOTA()
    changed = {"center_radius": 1.0, "in_box": False, "candidates": 2, "iou_cost": 0.1}
    for name, value in changed.items():
        other = replace(usual, **{name: value})(*drawn.assigned)
        assert not torch.equal(other.objects, usual(*drawn.assigned).objects), name
