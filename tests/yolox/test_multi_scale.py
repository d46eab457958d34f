"""The size of a step: a function of seed and iteration, and boxes that move with the pixels."""

import pytest
import torch
from detectron2.structures import Boxes, Instances

from solo.errors import UserError
from solo.yolox.multi_scale import MultiScale


def test_sizes_are_multiples_of_32_and_all_are_drawn() -> None:
    scale = MultiScale(480, 800, seed=4)
    sizes = [scale.size(iteration) for iteration in range(2000)]
    assert set(sizes) == set(range(480, 801, 32))
    for start in range(0, 2000, 10):
        assert len(set(sizes[start : start + 10])) == 1
    # None is much more frequent than the others, and neighbours are independent.
    assert max(sizes.count(size) for size in set(sizes)) < 400
    assert sum(a == b for a, b in zip(sizes[::10], sizes[10::10], strict=False)) < 40


def test_the_size_depends_on_the_seed_and_on_nothing_that_ran_before() -> None:
    first = [MultiScale(32, 640, seed=1).size(i) for i in range(0, 300, 10)]
    torch.rand(7)
    assert [MultiScale(32, 640, seed=1).size(i) for i in range(0, 300, 10)] == first
    assert [MultiScale(32, 640, seed=2).size(i) for i in range(0, 300, 10)] != first


def a_rectangle(
    size: tuple[int, int], box: tuple[int, int, int, int]
) -> tuple[torch.Tensor, Instances]:
    left, top, right, bottom = box
    image = torch.zeros(1, 3, *size)
    image[..., top:bottom, left:right] = 255
    truth = Instances(size)
    truth.gt_boxes = Boxes(torch.tensor([box]).float())
    truth.gt_classes = torch.tensor([1])
    return image, truth


@pytest.mark.parametrize("size", [(96, 96), (64, 128)])
def test_boxes_move_with_the_pixels(size: tuple[int, int]) -> None:
    image, truth = a_rectangle(size, (32, 16, 64, 48))
    before = truth.gt_boxes.tensor.clone()
    images, (moved,) = MultiScale(192, 192, seed=0)(image, [truth], 0)
    assert max(images.shape[2:]) == 192 and images.shape[2] * size[1] == images.shape[3] * size[0]
    bright = (images[0, 0] > 127).nonzero()
    top, left = bright.amin(dim=0).tolist()
    bottom, right = (bright.amax(dim=0) + 1).tolist()
    assert moved.gt_boxes.tensor.tolist() == [[left, top, right, bottom]]
    assert moved.image_size == tuple(images.shape[2:])
    assert torch.equal(truth.gt_boxes.tensor, before)


def test_a_batch_of_the_size_is_left_alone() -> None:
    image, truth = a_rectangle((96, 96), (0, 0, 32, 32))
    images, (moved,) = MultiScale(96, 96, seed=0)(image, [truth], 0)
    assert images is image and moved is truth


@pytest.mark.parametrize("sizes", [[480], [800, 480], [0, 64], [470, 800], [32, 64, 96]])
def test_a_range_that_is_none_is_named(sizes: list[int]) -> None:
    with pytest.raises(UserError, match=r"MODEL\.YOLOX\.MULTI_SCALE is .* multiples of 32"):
        MultiScale.from_range(sizes, seed=0)


def test_no_range_is_no_change() -> None:
    assert MultiScale.from_range([], seed=0) is None
