"""The terms that make masks of boxes, against loops written from the paper (arXiv 2012.02310)."""

import math

import pytest
import torch

from solo.layers.lab import to_lab
from solo.modeling import box_terms
from solo.modeling.box_terms import (
    box_windows,
    count_edges,
    edge_offsets,
    pairwise_loss,
    projection_loss,
    similar_neighbours,
)

SIZE = (9, 11)
OFFSETS = edge_offsets(3, 2)
WINDOWS = torch.tensor([[1, 2, 6, 7], [0, 0, 11, 9], [9, 8, 11, 9], [4, 4, 5, 5]])
INSTANCES = torch.tensor([1, 1, 0, 2, 3, 0])


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(3)
    soft = torch.rand(len(INSTANCES), *SIZE, generator=generator, dtype=torch.float64)
    similar = torch.rand(len(OFFSETS), *SIZE, generator=generator) > 0.4
    for kind, (down, right) in enumerate(OFFSETS):
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                similar[kind, y, x] &= y + down < SIZE[0] and 0 <= x + right < SIZE[1]
    return soft, similar


def neighbours(size, dilation):
    """All pixels of a neighbourhood but the middle."""
    reach = [dilation * step for step in range(-(size // 2), size // 2 + 1)]
    return [(y, x) for y in reach for x in reach if (y, x) != (0, 0)]


def naive_edges(similar, window):
    """Yield every (pixel, neighbour) of one colour with the pixel in the box, all 8 neighbours."""
    left, top, right, bottom = window.tolist()
    for y in range(top, bottom):
        for x in range(left, right):
            for down, across in neighbours(3, 2):
                v, u = y + down, x + across
                if 0 <= v < SIZE[0] and 0 <= u < SIZE[1]:
                    ahead = (down, across) in OFFSETS
                    kind = OFFSETS.index((down, across) if ahead else (-down, -across))
                    if similar[(kind, y, x) if ahead else (kind, v, u)]:
                        yield (y, x), (v, u)


def naive_pairwise(mask, similar, window):
    total = torch.zeros((), dtype=mask.dtype)
    for one, other in naive_edges(similar, window):
        p, q = mask[one], mask[other]
        total = total - torch.log(p * q + (1 - p) * (1 - q))
    return total


@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (3, 2), (5, 2)])
def test_every_neighbour_is_met_once(size, dilation):
    ahead = edge_offsets(size, dilation)
    assert sorted([*ahead, *((-y, -x) for y, x in ahead)]) == sorted(neighbours(size, dilation))


@pytest.mark.parametrize("pixels", [1, 1 << 20], ids=["one by one", "at once"])
def test_pairwise_equals_the_loop(drawn, pixels, monkeypatch):
    monkeypatch.setattr(box_terms, "_PIXELS_AT_A_TIME", pixels)
    soft, similar = drawn
    soft.requires_grad_()
    weights = torch.arange(1.0, len(INSTANCES) + 1, dtype=torch.float64)
    actual = pairwise_loss(soft, similar, OFFSETS, WINDOWS, INSTANCES)
    expected = torch.stack(
        [
            naive_pairwise(mask, similar, WINDOWS[instance])
            for mask, instance in zip(soft, INSTANCES, strict=True)
        ]
    )
    torch.testing.assert_close(actual, expected)
    (gradient,) = torch.autograd.grad((actual * weights).sum(), soft)
    (reference,) = torch.autograd.grad((expected * weights).sum(), soft)
    torch.testing.assert_close(gradient, reference)


def test_gradient_of_pairwise_is_that_of_finite_differences(drawn):
    soft, similar = drawn

    def loss(masks):
        return pairwise_loss(masks, similar, OFFSETS, WINDOWS, INSTANCES)

    assert torch.autograd.gradcheck(loss, soft.requires_grad_())


def test_counted_edges_are_those_of_the_loop(drawn):
    _, similar = drawn
    expected = [sum(1 for _ in naive_edges(similar, window)) for window in WINDOWS]
    assert count_edges(similar, OFFSETS, WINDOWS).tolist() == expected


def test_certain_masks_have_finite_pairwise_losses_and_gradients():
    """Each pixel against its neighbours, with logits that float32 cannot tell from 0 and 1."""
    logits = torch.full((1, *SIZE), 200.0)
    logits[..., ::4] = -200.0
    logits.requires_grad_()
    similar = torch.ones(len(OFFSETS), *SIZE, dtype=torch.bool)
    window = torch.tensor([[2, 2, 9, 7]])
    loss = pairwise_loss(
        logits.sigmoid(), similar, OFFSETS, window, torch.zeros(1, dtype=torch.int64)
    )
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()


def test_a_wrong_pixel_is_pulled_by_its_logit():
    """-log of the probability falls by one a unit of the logit, as long as float32 knows it."""
    logits = torch.tensor([[[-9.0, 0.0, 30.0]]], requires_grad=True)
    similar = torch.tensor([[[True, False, False]]])
    window, instance = torch.tensor([[0, 0, 1, 1]]), torch.tensor([0])
    pairwise_loss(logits.sigmoid(), similar, ((0, 2),), window, instance).sum().backward()
    assert logits.grad[0, 0].tolist() == pytest.approx([-1, 0, 0], abs=1e-3)


def naive_projection(mask, window):
    left, top, right, bottom = window.tolist()
    height, width = mask.shape
    total = 0.0
    for shadow, first, last in (
        ([max(mask[y, x] for y in range(height)) for x in range(width)], left, right),
        ([max(mask[y, x] for x in range(width)) for y in range(height)], top, bottom),
    ):
        overlap = sum(shadow[first:last])
        squares = sum(p * p for p in shadow) + (last - first)
        total = total + 1 - 2 * overlap / (squares + 0.002)
    return total


def test_projection_equals_the_loop(drawn):
    soft = drawn[0].float().requires_grad_()
    actual = projection_loss(soft, WINDOWS, INSTANCES)
    expected = torch.stack(
        [
            naive_projection(mask, WINDOWS[instance])
            for mask, instance in zip(soft, INSTANCES, strict=True)
        ]
    )
    torch.testing.assert_close(actual, expected)
    (gradient,) = torch.autograd.grad(actual.sum(), soft)
    (reference,) = torch.autograd.grad(expected.sum(), soft)
    torch.testing.assert_close(gradient, reference)


def test_gradient_of_projection_is_that_of_finite_differences(drawn):
    soft = drawn[0].float().requires_grad_()
    projection_loss(soft, WINDOWS, INSTANCES).sum().backward()
    step = 1e-3  # float32, since dice is; no shadow changes its pixel within it
    for place in [(0, 4, 4), (2, 1, 9), *map(tuple, (soft > 0.97).nonzero().tolist())]:
        ends = [soft.detach().clone() for _ in range(2)]
        for end, sign in zip(ends, (1, -1), strict=True):
            end[place] += sign * step
        above, below = (projection_loss(end, WINDOWS, INSTANCES).double().sum() for end in ends)
        assert soft.grad[place].item() == pytest.approx(float(above - below) / step / 2, abs=2e-3)


def test_a_mask_that_fills_its_box_has_no_projection_loss():
    windows = torch.tensor([[2, 3, 7, 8]])
    mask = torch.zeros(1, *SIZE)
    mask[0, 3:8, 2] = mask[0, 5, 2:7] = 1  # a cross does: the projections are all that boxes say
    assert projection_loss(mask, windows, torch.tensor([0])).item() < 1e-3


def test_similarity_equals_the_loop():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(90, 110, (3, 8, 12), generator=generator)
    similar = similar_neighbours(image, 2, OFFSETS, 0.3)
    lab = to_lab(image.float().view(3, 4, 2, 6, 2).mean(dim=(2, 4)))
    assert similar.shape == (4, 4, 6) and 0.1 < similar.float().mean() < 0.5
    for kind, (down, right) in enumerate(OFFSETS):
        for y in range(4):
            for x in range(6):
                v, u = y + down, x + right
                within = v < 4 and 0 <= u < 6
                alike = within and math.exp(-float((lab[:, y, x] - lab[:, v, u]).norm()) / 2) >= 0.3
                assert similar[kind, y, x].item() is alike


def test_a_block_at_the_border_has_the_colour_of_its_pixels():
    """An image of one colour has no edge of two, whatever its size is."""
    image = torch.full((3, 10, 13), 200, dtype=torch.uint8)
    similar = similar_neighbours(image, 4, ((0, 1), (1, 0)), 0.9)
    assert similar.shape == (2, 3, 4)
    assert similar[0, :, :3].all() and similar[1, :2].all()
    assert not similar[0, :, 3].any() and not similar[1, 2].any()


def test_windows_hold_the_pixels_whose_centres_lie_in_the_box():
    boxes = torch.tensor(
        [
            [6.0, 5.9, 14.0, 14.1],
            [6.1, 6.0, 14.1, 14.0],
            [-9.0, 0.0, 99.0, 99.0],
            [3.0, 7.0, 4.0, 8.0],
        ]
    )
    expected = [[1, 1, 3, 4], [2, 1, 4, 3], [0, 0, 11, 9], [0, 1, 1, 2]]
    assert box_windows(boxes, 4, SIZE).tolist() == expected


def test_no_pairs():
    nothing = torch.zeros(0, dtype=torch.int64)
    soft = torch.zeros(0, *SIZE, requires_grad=True)
    similar = torch.ones(len(OFFSETS), *SIZE, dtype=torch.bool)
    windows = box_windows(torch.zeros(0, 4), 4, SIZE)
    projection = projection_loss(soft, windows, nothing)
    pairwise = pairwise_loss(soft, similar, OFFSETS, windows, nothing)
    assert projection.shape == pairwise.shape == (0,)
    (projection.sum() + pairwise.sum()).backward()
    assert soft.grad.shape == soft.shape
    assert count_edges(similar, OFFSETS, windows).shape == (0,)
