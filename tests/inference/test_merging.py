"""Bars that views found: which are one object, and which pixels it gets."""

import pytest
import torch
from pycocotools import mask as coco_mask

from solo.inference.merging import Found, found_in, group_views, merge_views, to_instances, vote
from solo.structures.run_lengths import encode_masks

SIZE = (20, 100)


def bar(left, right, score, category=0):
    """A mask of ten rows and some columns of an image, 20 x 100."""
    mask = torch.zeros(1, 20, 100, dtype=torch.bool)
    mask[:, 5:15, left:right] = True
    return Found(encode_masks(mask)[0], score, category)


def columns(rle):
    """First column and one past the last of a bar."""
    mask = coco_mask.decode(rle)
    filled = mask.any(axis=0).nonzero()[0]
    assert mask.sum() == 10 * len(filled) == 10 * (filled[-1] + 1 - filled[0])
    return filled[0], filled[-1] + 1


def test_masks_vote_by_score():
    group = [bar(10, 50, 0.5), bar(14, 60, 0.3), bar(16, 60, 0.3)]
    # 10 - 14: 0.5 of 1.1; 14 - 50: more than half; 50 - 60: 0.6.
    assert columns(vote(group, SIZE)) == (14, 60)
    # Two of the same score: what both have.
    assert columns(vote([bar(10, 50, 0.5), bar(14, 60, 0.5)], SIZE)) == (14, 50)
    assert columns(vote([bar(10, 50, 0.6), bar(14, 60, 0.5)], SIZE)) == (10, 50)


def test_groups_have_one_of_each_view():
    best, twin, lower = bar(10, 50, 0.9), bar(11, 50, 0.4), bar(12, 50, 0.6)
    elsewhere, other = bar(60, 90, 0.7), bar(10, 50, 0.8, category=1)
    third = bar(10, 48, 0.5)
    groups = list(group_views([[twin, best], [lower, other, elsewhere], [third]]))
    assert [best, lower, third] in groups
    assert sorted(map(len, groups)) == [1, 1, 1, 3]


def test_less_than_half_in_common_are_two():
    assert len(list(group_views([[bar(0, 20, 0.9)], [bar(0, 39, 0.8)]]))) == 1
    assert len(list(group_views([[bar(0, 20, 0.9)], [bar(0, 41, 0.8)]]))) == 2


def test_classes_are_apart_unless_suppression_ignores_them():
    two = [[bar(0, 20, 0.9, category=0)], [bar(0, 20, 0.8, category=7)]]
    assert len(list(group_views(two))) == 2
    (group,) = group_views(two, class_agnostic=True)
    assert group[0].score == 0.9


def test_a_view_that_overlooked_an_object_counts_as_0():
    ((rle, score, category),) = merge_views(
        [[bar(10, 50, 0.9, 2)], [bar(10, 50, 0.3, 2)], []], SIZE
    )
    assert columns(rle) == (10, 50) and category == 2
    assert score == pytest.approx(0.4)


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
def test_instances_are_put_together_and_taken_apart(mask_format):
    found = [bar(0, 9, 0.25), bar(3, 60, 0.75, 2), bar(8, 30, 0.5, 1)]
    instances = to_instances(found, size=SIZE, mask_format=mask_format, max_instances=2)
    assert instances.has("pred_rles") == (mask_format == "rle")
    assert found_in(instances) == [found[1], found[2]]
