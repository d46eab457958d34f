import numpy as np
import pytest
import torch

from solo.layers import overlaps

KERNELS = ["bytes", "float32"] + ["bits"] * hasattr(np, "bitwise_count")


def random_masks(count, size=(20, 30), seed=0):
    return torch.rand(count, *size, generator=torch.Generator().manual_seed(seed)) > 0.5


def shared_pixels(masks):
    flat = masks.flatten(1).long()
    return flat @ flat.T


@pytest.mark.parametrize("kernel", ["auto", *KERNELS])
@pytest.mark.parametrize("count", [0, 1, 7, 40])
@pytest.mark.parametrize("size", [(20, 30), (16, 24), (1, 9), (9, 1)])
def test_intersections_are_exact(kernel, count, size):
    masks = random_masks(count, size)
    assert torch.equal(overlaps.mask_intersections(masks, kernel).long(), shared_pixels(masks))


@pytest.mark.parametrize("kernel", KERNELS)
def test_masks_of_any_place_and_none(kernel):
    # What has to be skipped, and what must not be: boxes that meet, touch, lie inside, and are empty.
    masks = torch.zeros(7, 40, 50, dtype=torch.bool)
    places = ((0, 0, 9, 9), (8, 8, 17, 17), (9, 9, 12, 12), (39, 49, 40, 50), (0, 0, 40, 50))
    for mask, (top, left, bottom, right) in zip(masks, places, strict=False):
        mask[top:bottom, left:right] = True
    masks[5, 7, 49] = True  # the last pixel of a tile's row
    actual = overlaps.mask_intersections(masks, kernel)
    assert torch.equal(actual.long(), shared_pixels(masks))
    assert actual.dtype == torch.float32


def test_a_mask_of_more_pixels_than_a_byte_or_a_word_counts():
    masks = torch.ones(2, 300, 300, dtype=torch.bool)
    for kernel in KERNELS:
        assert (overlaps.mask_intersections(masks, kernel) == 90_000).all()


def test_masks_that_are_a_view():
    masks = random_masks(6, (20, 60))[:, :, ::2]
    for kernel in KERNELS:
        actual = overlaps.mask_intersections(masks, kernel)
        assert torch.equal(actual.long(), shared_pixels(masks))


def test_floats_are_exact_in_parts(monkeypatch):
    masks = random_masks(7)
    monkeypatch.setattr(overlaps, "_PIXELS_AT_A_TIME", 100)
    actual = overlaps.mask_intersections(masks, "float32")
    assert torch.equal(actual.long(), shared_pixels(masks))


def test_floats_are_exact_under_autocast():
    masks = torch.ones(2, 1, 67_200, dtype=torch.bool)  # overflow float16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert overlaps.mask_intersections(masks, "float32")[0, 1] == 67_200


def test_another_word():
    with pytest.raises(ValueError, match=r"MODEL\.CPU\.INTERSECTIONS is 'fast'"):
        overlaps.mask_intersections(random_masks(2), "fast")
