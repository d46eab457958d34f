import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from solo.errors import UserError
from solo.layers.masks import masks_to_boxes
from solo.structures.run_lengths import (
    Part,
    as_compressed,
    boxes_of,
    decode_box,
    encode_masks,
    make_instances,
    parse_counts,
    place_mask,
    place_rle,
    rles_of,
    run_lengths,
    which_fill,
)

SIZE = (20, 30)


def rectangles(*boxes):
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return masks


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_run_lengths_are_those_of_pycocotools(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, columns = (
        data.draw(st.integers(1, height - top)),
        data.draw(st.integers(1, width - left)),
    )
    bits = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    part = Part(top, left, np.array(bits).reshape(columns, rows))
    whole = np.zeros((height, width), dtype=np.uint8, order="F")
    whole[top : top + rows, left : left + columns] = part.columns.T
    counts = {"size": [height, width], "counts": run_lengths(part, (height, width))}
    assert coco_mask.frPyObjects([counts], height, width)[0] == coco_mask.encode(whole)


@given(
    arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.booleans()),
    st.booleans(),
)
def test_compressed_counts_are_those_of_pycocotools(mask, is_text):
    """Noise and, repeated, runs of more than a character."""
    mask = np.asfortranarray(mask.repeat(30, axis=0), dtype=np.uint8)
    rle = coco_mask.encode(mask)
    counts = rle["counts"].decode() if is_text else rle["counts"]
    pixels = mask.ravel(order="F")
    borders = np.flatnonzero(np.diff(pixels, prepend=0)).tolist()
    assert parse_counts(counts).tolist() == np.diff([0, *borders, pixels.size]).tolist()
    assert as_compressed({**rle, "counts": counts})["counts"] == counts
    lengths = parse_counts(counts).tolist()
    assert as_compressed({**rle, "counts": lengths})["counts"] == rle["counts"]
    with pytest.raises(UserError):
        as_compressed({**rle, "counts": counts[:-1]})


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([5, 5], "do not add up to 20 x 30 pixels"),
        ([605, -5], "do not add up"),
        ([], "do not add up"),
        ("", "do not add up"),
        (b"1", "do not add up"),
        ("o", "cut off"),
        (b"1oo", "cut off"),
        ("oooooooo1", "no image is large enough"),
    ],
)
def test_runs_that_do_not_fill_the_mask_are_refused(counts, reason):
    with pytest.raises(UserError, match=reason):
        as_compressed({"size": [20, 30], "counts": counts})


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


def test_many_counts_are_looked_at_as_each_alone():
    rng = np.random.default_rng(0)
    texts, areas, expected = [], [], []
    for number in range(400):
        height, width = rng.integers(1, 60, 2)
        pixels = rng.random((height, width)) < rng.random()
        text = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))["counts"]
        area = int(height * width)
        if number % 4 == 1:  # cut off
            text = text[:-1]
        elif number % 4 == 2:  # of another size
            area += 1
        elif number % 4 == 3:  # a character is another
            place = rng.integers(len(text))
            text = text[:place] + bytes([rng.integers(48, 112)]) + text[place + 1 :]
        texts.append(text)
        areas.append(area)
        expected.append(fills(text, area))
    assert 100 <= sum(expected) < 200
    assert which_fill(texts, areas).tolist() == expected
    assert [bool(which_fill([t], [a])[0]) for t, a in zip(texts, areas, strict=True)] == expected


def fills(text, area):
    try:
        lengths = parse_counts(text)
    except ValueError:
        return False
    return len(lengths) > 0 and int(lengths.sum()) == area and int(lengths.min()) >= 0
