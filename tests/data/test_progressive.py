"""Progressive resizing: small images first, as a function of the iteration."""

import pytest
import torch

from solo.errors import UserError
from tests.data.batches import flat, take


@pytest.fixture
def growing(trainable):
    trainable.SOLVER.MAX_ITER = 10
    trainable.INPUT.PROGRESSIVE.SHARE = 0.3
    trainable.INPUT.PROGRESSIVE.SCALE = 0.5
    return trainable


def batches_of(cfg, count, **options):
    return take(cfg, count, mapper=None, **options)


def assert_same(batches, others):
    for item, other in zip(flat(batches), flat(others), strict=True):
        assert torch.equal(item["image"], other["image"])
        assert torch.equal(item["instances"].gt_masks.tensor, other["instances"].gt_masks.tensor)


def sizes(batches):
    return [[tuple(item["image"].shape[1:]) for item in batch] for batch in batches]


def test_the_first_iterations_have_small_images_and_masks(trainable):
    whole = batches_of(trainable, 5)
    trainable.SOLVER.MAX_ITER = 10
    trainable.INPUT.PROGRESSIVE.SHARE, trainable.INPUT.PROGRESSIVE.SCALE = 0.3, 0.5
    grown = batches_of(trainable, 5)
    halves = [[(height // 2, width // 2) for height, width in batch] for batch in sizes(whole)]
    assert sizes(grown) == halves[:3] + sizes(whole)[3:]
    assert_same(grown[3:], whole[3:])
    for item in grown[0]:
        assert item["instances"].gt_masks.tensor.shape[1:] == item["image"].shape[1:]


def test_a_resumed_run_goes_on_with_the_size_it_was_at(growing):
    assert_same(batches_of(growing, 3, start_iteration=2), batches_of(growing, 5)[2:])


def test_images_are_combined_at_the_small_size(growing):
    growing.INPUT.MOSAIC.PROB = 1.0
    growing.INPUT.MIN_SIZE_TRAIN = (32,)
    shorter = [{min(size) for size in batch} for batch in sizes(batches_of(growing, 4))]
    assert shorter == [{16}] * 3 + [{32}]


@pytest.mark.parametrize(("key", "value"), [("SHARE", 1.5), ("SCALE", 0.0), ("SCALE", 1.5)])
def test_values_out_of_range(growing, key, value):
    growing.INPUT.PROGRESSIVE[key] = value
    with pytest.raises(UserError, match=f"INPUT.PROGRESSIVE.{key} is"):
        batches_of(growing, 1)


def test_images_that_are_not_resized_have_no_smaller_size(growing):
    growing.INPUT.MIN_SIZE_TRAIN = (0,)
    with pytest.raises(UserError, match="MIN_SIZE_TRAIN has a 0"):
        batches_of(growing, 1)


def test_with_another_mapper_it_says_so(growing):
    with pytest.raises(UserError, match="one of yours"):
        take(growing, 1, mapper=dict)
