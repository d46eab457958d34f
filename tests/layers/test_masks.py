import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, PolygonMasks

from solo.layers.masks import (
    centers_of_mass,
    count_pixels,
    downsample_masks,
    masks_to_boxes,
    resize_soft_masks,
    to_bitmasks,
)

cv2 = pytest.importorskip("cv2")


def random_masks(count, height, width, seed=0):
    return torch.rand(count, height, width, generator=torch.Generator().manual_seed(seed)) > 0.6


@pytest.mark.parametrize("size", [(9, 14), (600, 2100), (256, 2040), (1, 1)])
def test_pixels_are_counted_beyond_what_a_byte_holds(size):
    masks = torch.stack([torch.ones(size, dtype=torch.bool), random_masks(1, *size)[0]])
    columns, rows = count_pixels(masks)
    assert torch.equal(columns, masks.sum(dim=1))
    assert torch.equal(rows, masks.sum(dim=2))


def test_pixels_of_no_masks_from_numpy():
    columns, rows = count_pixels(torch.from_numpy(np.zeros((0, 6, 8), dtype=bool)))
    assert columns.shape == (0, 8) and rows.shape == (0, 6)


def test_pixels_of_a_transposed_view_are_counted():
    masks = random_masks(2, 24, 40).mT
    assert torch.equal(count_pixels(masks)[0], masks.sum(dim=1))


def test_boxes_of_known_masks():
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 2:4, 1:7] = True
    masks[1, 5, 7] = True  # one pixel, in the corner
    assert masks_to_boxes(masks).tolist() == [[1, 2, 7, 4], [7, 5, 8, 6], [0, 0, 0, 0]]


def test_boxes_equal_detectron2():
    masks = random_masks(20, 17, 31) & (random_masks(20, 1, 31, seed=1))
    expected = BitMasks(masks).get_bounding_boxes().tensor
    assert torch.equal(masks_to_boxes(masks), expected)


def test_boxes_of_no_masks():
    assert masks_to_boxes(torch.zeros(0, 4, 5, dtype=torch.bool)).shape == (0, 4)


def test_centers_are_means_of_pixel_indices():
    masks = random_masks(5, 9, 14)
    masks[3] = False
    centers, areas = centers_of_mass(masks)
    for mask, center, area in zip(masks, centers, areas, strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        assert area == len(rows)
        if area:
            assert center.tolist() == pytest.approx(
                [columns.double().mean().item(), rows.double().mean().item()], abs=1e-6
            )
        else:
            assert center.tolist() == [0, 0]


@pytest.mark.parametrize("stride", [2, 4, 8, 16])
def test_downsampling_equals_opencv(stride):
    """cv2.INTER_LINEAR on uint8 masks is what the official targets are made with."""
    masks = random_masks(4, 64, 96)
    size = (64 // stride, 96 // stride)
    resized = [
        cv2.resize(mask.numpy().astype(np.uint8), size[::-1], interpolation=cv2.INTER_LINEAR)
        for mask in masks
    ]
    assert torch.equal(
        downsample_masks(masks, stride, size), torch.tensor(np.stack(resized)).bool()
    )


def test_downsampling_pads_with_nothing():
    masks = random_masks(3, 50, 61)
    padded = torch.zeros(3, 64, 64, dtype=torch.bool)
    padded[:, :50, :61] = masks
    assert torch.equal(downsample_masks(masks, 4, (16, 16)), downsample_masks(padded, 4, (16, 16)))


def test_polygons_and_bitmasks_agree():
    square = [[2.0, 3.0, 9.0, 3.0, 9.0, 8.0, 2.0, 8.0]]
    polygons = PolygonMasks([square])
    bitmasks = BitMasks.from_polygon_masks(polygons, 12, 14)
    device = torch.device("cpu")
    from_polygons = to_bitmasks(polygons, (12, 14), device)
    assert torch.equal(from_polygons, to_bitmasks(bitmasks, (12, 14), device))
    assert from_polygons[0, 3:8, 2:9].all()
    assert to_bitmasks(PolygonMasks([]), (12, 14), device).shape == (0, 12, 14)


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(8, 5\)"):
        to_bitmasks(BitMasks(torch.zeros(1, 4, 5)), (8, 5), torch.device("cpu"))
    with pytest.raises(ValueError, match="list"):
        to_bitmasks([[1, 2]], (8, 5), torch.device("cpu"))


def test_resize_to_the_same_size_changes_nothing():
    masks = torch.rand(2, 5, 6)
    assert resize_soft_masks(masks, (5, 6)) is masks
    assert resize_soft_masks(masks, (10, 12)).shape == (2, 10, 12)


def test_a_row_of_a_larger_array_is_counted():
    row = torch.ones(3, 58, dtype=torch.bool)[1:2, :16][None]
    assert row.is_contiguous() and row.stride(0) % 8
    columns, rows = count_pixels(row)
    assert columns.tolist() == [[1] * 16] and rows.tolist() == [[16]]
