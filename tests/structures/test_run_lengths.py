import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from solo.layers.masks import encode_masks, masks_to_boxes
from solo.structures.run_lengths import (
    boxes_of,
    decode_box,
    make_instances,
    place_mask,
    place_rle,
    rles_of,
)

SIZE = (20, 30)


def rectangles(*boxes):
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return masks


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_mask_is_placed_where_it_belongs(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows = data.draw(st.integers(1, height - top))
    columns = data.draw(st.integers(1, width - left))
    bits = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    part = np.array(bits).reshape(rows, columns)
    whole = np.zeros((height, width), dtype=np.uint8, order="F")
    whole[top : top + rows, left : left + columns] = part
    expected = coco_mask.encode(whole)
    assert place_mask(part, (top, left), (height, width)) == expected
    encoded = coco_mask.encode(np.asfortranarray(part.astype(np.uint8)))
    assert place_rle(encoded, (top, left), (height, width)) == expected


def test_boxes_are_the_bounds():
    masks = rectangles((3, 2, 9, 20), (0, 0, 30, 1), (5, 5, 5, 5))
    rles = encode_masks(masks)
    assert boxes_of(rles).tolist() == masks_to_boxes(masks).int().tolist()
    assert boxes_of([]).shape == (0, 4)
    assert np.array_equal(decode_box(rles[0], (8, 1, 11, 4)), [[0, 0, 0], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
def test_the_best_become_instances(mask_format):
    masks = rectangles((3, 2, 9, 20), (0, 0, 30, 1), (5, 5, 7, 7), (1, 1, 2, 2))
    rles = encode_masks(masks)
    settings = {"size": SIZE, "mask_format": mask_format, "max_instances": 3}
    instances = make_instances(rles, [0.2, 0.9, 0.5, 0.1], [4, 3, 2, 1], **settings)
    assert instances.pred_classes.tolist() == [3, 2, 4]
    torch.testing.assert_close(instances.scores, torch.tensor([0.9, 0.5, 0.2]))
    assert torch.equal(instances.pred_boxes.tensor, masks_to_boxes(masks[[1, 2, 0]]))
    assert instances.has("pred_rles") == (mask_format == "rle")
    if mask_format == "bitmask":
        assert torch.equal(instances.pred_masks, masks[[1, 2, 0]])
    assert rles_of(instances) == [rles[1], rles[2], rles[0]]


def test_equal_scores_keep_their_order():
    rles = encode_masks(rectangles((1, 1, 2, 2), (2, 2, 3, 3), (3, 3, 4, 4)))
    instances = make_instances(
        rles, [0.5] * 3, [0, 1, 2], size=SIZE, mask_format="rle", max_instances=9
    )
    assert instances.pred_classes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
def test_no_instances(mask_format):
    none = make_instances([], [], [], size=SIZE, mask_format=mask_format, max_instances=9)
    assert len(none) == 0 and none.pred_boxes.tensor.shape == (0, 4)
    assert none.pred_classes.dtype == torch.int64
    assert rles_of(none) == []
