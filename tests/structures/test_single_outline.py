import cv2
import numpy as np
import pytest

from solo.structures.region import region_of_mask, region_of_polygons
from solo.structures.single_outline import single_outline

SIZE = (60, 80)


def masks():
    """Masks (H, W) bool by what they have."""
    empty = np.zeros(SIZE, bool)
    pixel, square, hole, parts, corner, rings, stairs = (empty.copy() for _ in range(7))
    pixel[7, 9] = True
    square[5:30, 8:40] = True
    hole[5:30, 8:40] = True
    hole[10:20, 15:30] = False
    hole[22, 10] = False
    parts[2:9, 2:9] = parts[40:58, 60:80] = parts[0, 79] = True
    corner[5:10, 5:10] = corner[10:15, 10:15] = corner[4, 10] = True
    rings[1:59, 1:79] = True
    rings[5:55, 5:75] = False
    rings[10:50, 10:70] = True
    rings[20:40, 20:40] = False
    rings[25:30, 25:30] = True
    stairs[np.tril_indices(60, 0, 80)] = True
    noise = np.random.default_rng(0).random(SIZE) < 0.5
    full = np.ones(SIZE, bool)
    return {
        "pixel": pixel,
        "square": square,
        "hole": hole,
        "parts": parts,
        "corner": corner,
        "rings": rings,
        "stairs": stairs,
        "noise": noise,
        "full": full,
    }


@pytest.mark.parametrize("name", masks())
def test_filling_it_gives_the_mask_again(name):
    mask = masks()[name]
    outline = single_outline(region_of_mask(mask))
    again = region_of_polygons([outline], *SIZE)
    filled = np.zeros(SIZE, bool)
    filled[again.box.slices] = again.pixels
    assert np.array_equal(filled, mask)


@pytest.mark.parametrize("name", ["square", "hole", "parts", "rings"])
def test_tools_that_fill_at_the_size_of_the_image_see_it_too(name):
    """OpenCV fills the pixels that an edge runs through, so at eight times the size."""
    mask = masks()[name]
    outline = single_outline(region_of_mask(mask)) * 8
    filled = np.zeros((SIZE[0] * 8, SIZE[1] * 8), np.uint8)
    cv2.fillPoly(filled, [outline.round().astype(np.int32)], 1)
    expected = mask.repeat(8, axis=0).repeat(8, axis=1)
    assert (filled & expected).sum() / (filled | expected).sum() > 0.95


def test_a_square_has_its_four_corners():
    outline = single_outline(region_of_mask(masks()["square"]))
    assert {tuple(corner) for corner in outline} == {(8, 5), (40, 5), (40, 30), (8, 30)}
    assert len(outline) == 4


def test_very_many_corners_are_joined_without_looking_for_the_nearest():
    mask = np.random.default_rng(1).random((300, 400)) < 0.5
    outline = single_outline(region_of_mask(mask))
    again = region_of_polygons([outline], *mask.shape)
    assert len(outline) > 50_000 and np.array_equal(again.pixels, mask)


def test_parts_are_joined_to_their_nearest():
    mask = np.zeros(SIZE, bool)
    for left in (0, 20, 40, 60):
        mask[10:20, left : left + 5] = True
    outline = single_outline(region_of_mask(mask))
    steps = np.abs(np.diff(outline, axis=0)).max(axis=1)
    assert steps.max() == 15, "no bridge is longer than a gap"
