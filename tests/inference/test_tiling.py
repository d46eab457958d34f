"""Shapes whose truth is known, found in tiles by a `find` that sees what a tile shows of them."""

import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from solo.inference.tiling import TileRule, find_in_tiles
from solo.layers.masks import encode_masks, masks_to_boxes
from solo.structures.box import Box

RULE = TileRule(size=64, overlap=0.25, whole=False)
SMALL = 4  # pixels: smaller pieces are not found


def paint(size, masks):
    """An image of which each pixel holds the number of its object, and below it that of its class."""
    image = np.zeros((*size, 3), dtype=np.uint8)
    for index, (mask, category) in enumerate(masks):
        image[mask] = (index + 1, category, 0)
    return image


def instances_of(masks, scores, classes, size, mask_format):
    instances = Instances(size)
    masks = torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, *size))
    instances.pred_boxes = Boxes(masks_to_boxes(masks))
    instances.scores = torch.tensor(scores, dtype=torch.float32)
    instances.pred_classes = torch.tensor(classes, dtype=torch.int64)
    if mask_format == "rle":
        instances.pred_rles = encode_masks(masks)
    else:
        instances.pred_masks = masks
    return instances


def oracle(mask_format="rle", largest=None):
    """A `find` that reads the numbers of the objects; objects over `largest` pixels it overlooks."""

    def find(images):
        found = []
        for image in images:
            rows = []
            for index in np.unique(image[:, :, 0]).tolist():
                mask = image[:, :, 0] == index
                if index and mask.sum() >= SMALL and not (largest and mask.sum() > largest):
                    # Less of it, less sure.
                    rows.append((mask, 1 - 1 / mask.sum(), int(image[:, :, 1][mask][0])))
            rows.sort(key=lambda row: -row[1])
            masks, scores, classes = zip(*rows, strict=True) if rows else ((), (), ())
            found.append(instances_of(masks, scores, classes, image.shape[:2], mask_format))
        return found

    return find


def in_turn(*views):
    """A `find` that sees these views, whatever it is given."""
    views = iter(views)
    return lambda images: oracle()([next(views) for _ in images])


def rectangle(size, left, top, right, bottom):
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def assert_found(image, instances):
    """Each object of the image is found once, pixel by pixel, with its class."""
    assert instances.image_size == image.shape[:2]
    if instances.has("pred_rles"):
        masks = [coco_mask.decode(rle).astype(bool) for rle in instances.pred_rles]
    else:
        masks = list(instances.pred_masks.numpy())
    labels = instances.pred_classes.tolist()
    found = {(mask.tobytes(), label) for mask, label in zip(masks, labels, strict=True)}
    assert len(found) == len(masks)
    truth = set()
    for index in np.unique(image[:, :, 0][image[:, :, 0] > 0]):
        mask = image[:, :, 0] == index
        truth.add((mask.tobytes(), int(image[:, :, 1][mask][0])))
    assert found == truth
    scores = instances.scores
    assert torch.equal(scores, scores.sort(descending=True).values)
    if masks:
        boxes = masks_to_boxes(torch.from_numpy(np.stack(masks)))
        assert torch.equal(instances.pred_boxes.tensor, boxes)
    else:
        assert instances.pred_boxes.tensor.shape == (0, 4)


@pytest.mark.parametrize("mask_format", ["rle", "bitmask"])
@pytest.mark.parametrize(
    "box",
    [
        (30, 10, 90, 40),  # over a seam
        (2, 10, 158, 30),  # over all seams, longer than two tiles
        (40, 40, 80, 80),  # over four tiles
        (50, 50, 62, 62),  # in the overlap of four tiles: found whole, four times
        (0, 0, 160, 130),  # all of the image
    ],
)
def test_an_object_over_seams_is_one(box, mask_format):
    size = (130, 160)
    image = paint(size, [(rectangle(size, *box), 2)])
    instances = find_in_tiles(image, oracle(mask_format), RULE)
    assert instances.has("pred_rles") == (mask_format == "rle")
    assert_found(image, instances)


def test_a_part_counts_by_its_area():
    size = (64, 112)
    image = paint(size, [(rectangle(size, 20, 10, 70, 20), 0)])
    # The tiles begin at 0 and 48: they show 440 and 220 pixels of it, both cut.
    expected = (440 * (1 - 1 / 440) + 220 * (1 - 1 / 220)) / 660
    assert find_in_tiles(image, oracle(), RULE).scores.item() == pytest.approx(expected)


def test_a_tile_that_shows_all_of_an_object_has_the_last_word():
    """The second one sees less of it, and a part of that elsewhere."""
    size = (64, 112)
    mask = rectangle(size, 20, 10, 60, 40)
    image = paint(size, [(mask, 0)])
    guess = image[:, 48:] + np.uint8([1, 0, 0]) * rectangle((64, 64), 0, 40, 12, 46)[:, :, None]
    instances = find_in_tiles(image, in_turn(image[:, :64], guess), RULE)
    assert_found(image, instances)
    assert instances.scores.item() == pytest.approx(1 - 1 / mask.sum())


def test_touching_objects_of_one_class_stay_two():
    size = (130, 160)
    upper, lower = rectangle(size, 30, 10, 120, 56), rectangle(size, 30, 56, 120, 90)
    image = paint(size, [(upper, 1), (lower, 1)])
    assert_found(image, find_in_tiles(image, oracle(), RULE))


def test_a_mask_over_two_neighbours_joins_one_of_them():
    """The second tile takes for one what the first tells apart."""
    size = (64, 112)
    upper, lower = rectangle(size, 10, 10, 100, 30), rectangle(size, 10, 30, 100, 40)
    image = paint(size, [(upper, 1), (lower, 1)])
    mistaken = image[:, 48:].copy()
    mistaken[:, :, 0] = mistaken[:, :, 0] > 0
    instances = find_in_tiles(image, in_turn(image[:, :64], mistaken), RULE)
    masks = [coco_mask.decode(rle).astype(bool) for rle in instances.pred_rles]
    left = rectangle(size, 0, 0, 64, 64)
    assert len(masks) == 2
    assert np.array_equal(masks[0], upper | (lower & rectangle(size, 48, 0, 112, 64)))
    assert np.array_equal(masks[1], lower & left)


def test_objects_of_other_classes_are_not_united():
    size = (64, 112)
    image = paint(size, [(rectangle(size, 30, 10, 90, 40), 1)])
    find = in_turn(image[:, :64], image[:, 48:] + np.uint8([0, 1, 0]))
    instances = find_in_tiles(image, find, RULE)
    assert sorted(instances.pred_classes.tolist()) == [1, 2]


def test_many_small_objects():
    size = (200, 200)
    masks = [
        (rectangle(size, x, y, x + 7, y + 9), (x + y) % 3)
        for x in range(0, 190, 15)
        for y in range(0, 190, 13)
    ]
    image = paint(size, masks)
    assert len(masks) == 195
    assert_found(image, find_in_tiles(image, oracle(), RULE))


@pytest.mark.parametrize("mask_format", ["rle", "bitmask"])
def test_nothing_to_find(mask_format):
    image = paint((130, 160), [])
    instances = find_in_tiles(image, oracle(mask_format), TileRule(size=64))
    assert_found(image, instances)
    if mask_format == "rle":
        assert instances.pred_rles == []
    else:
        assert instances.pred_masks.shape == (0, 130, 160)
        assert instances.pred_masks.dtype == torch.bool


def test_an_image_smaller_than_a_tile_is_found_as_it_is():
    calls = []
    image = paint((64, 50), [])
    result = Instances((64, 50))
    found = find_in_tiles(image, lambda images: calls.append(images) or [result], TileRule(size=64))
    assert found is result
    assert len(calls) == 1 and calls[0][0] is image


def test_the_whole_image_shows_what_tiles_overlook():
    size = (80, 128)
    # Even numbers, since the whole image is halved.
    large, tall = rectangle(size, 10, 20, 110, 60), rectangle(size, 114, 4, 120, 76)
    image = paint(size, [(large, 0), (tall, 0)])
    find = oracle(largest=1050)
    assert len(find_in_tiles(image, find, RULE)) == 1
    assert_found(image, find_in_tiles(image, find, TileRule(size=64)))


def test_pieces_of_what_the_whole_image_shows_are_dropped():
    """The tile in the middle shows nothing, so that the pieces beside it never meet."""
    size = (64, 128)
    image = paint(size, [(rectangle(size, 4, 20, 124, 50), 0)])
    tiles = [image[:, :64], np.zeros((64, 64, 3), dtype=np.uint8), image[:, 64:]]
    assert len(find_in_tiles(image, in_turn(*tiles), RULE)) == 2
    whole = image[::2, ::2].copy()
    assert_found(image, find_in_tiles(image, in_turn(*tiles, whole), TileRule(size=64)))


def test_what_a_tile_shows_whole_is_not_taken_from_the_whole_image():
    size = (80, 128)
    image = paint(size, [(rectangle(size, 10, 10, 30, 20), 0)])
    blank = np.zeros((64, 64, 3), dtype=np.uint8)
    assert len(RULE.tiles(size)) == 6
    whole = image[::2, ::2].copy()
    instances = find_in_tiles(image, in_turn(*[blank] * 6, whole), TileRule(size=64))
    assert len(instances) == 0


def test_a_piece_that_agrees_with_no_other_is_dropped():
    """The second tile sees an edge of what the first shows, and takes little of that for it."""
    size = (64, 112)
    image = paint(size, [(rectangle(size, 30, 10, 60, 40), 1)])
    piece = image[:, 48:] * rectangle((64, 64), 0, 20, 64, 25)[:, :, None]
    assert_found(image, find_in_tiles(image, in_turn(image[:, :64], piece), RULE))


def test_the_best_are_kept():
    size = (130, 160)
    masks = [(rectangle(size, 10 * x, 5, 10 * x + 2 + x // 2, 30), 0) for x in range(12)]
    image = paint(size, masks)
    rule = TileRule(size=64, whole=False, max_instances=5)
    instances = find_in_tiles(image, oracle(), rule)
    everything = find_in_tiles(image, oracle(), RULE)
    assert len(everything) == 12
    assert torch.equal(instances.scores, everything.scores[:5])
    assert instances.pred_rles == everything.pred_rles[:5]


def test_no_masks_of_the_images_size_are_kept():
    size = (1200, 1600)
    boxes = [(x, y, x + 150, y + 140) for x in range(20, 1500, 190) for y in range(20, 1100, 180)]
    image = paint(size, [(rectangle(size, *box), 0) for box in boxes])
    rule = TileRule(size=256, whole=False)
    tracemalloc.start()
    instances = find_in_tiles(image, oracle(), rule)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(instances) == len(boxes) == 48
    assert peak < 5 * size[0] * size[1]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_random_shapes_come_back(data):
    height, width = data.draw(st.integers(40, 150)), data.draw(st.integers(40, 150))
    image = np.zeros((height, width, 3), dtype=np.uint8)
    side = data.draw(st.integers(20, 110))
    for top in range(0, height, side):
        for left in range(0, width, side):
            draw_shape(image[top : top + side, left : left + side], data)
    rule = TileRule(size=40, overlap=data.draw(st.sampled_from([0.25, 0.4, 0.5])), whole=False)
    assert_found(image, find_in_tiles(image, oracle(), rule))


def draw_shape(cell, data):
    """A shape of some pixels somewhere in a cell, up to its edge, where the next one may begin."""
    height, width = cell.shape[:2]
    if min(height, width) < 4:
        return
    w, h = data.draw(st.integers(2, width)), data.draw(st.integers(2, height))
    x, y = data.draw(st.integers(0, width - w)), data.draw(st.integers(0, height - h))
    mask = np.zeros((h, w), dtype=np.uint8)
    if data.draw(st.booleans()):
        mask[:] = 1
    else:
        cv2.ellipse(
            mask, ((w - 1) // 2, (h - 1) // 2), ((w - 1) // 2, (h - 1) // 2), 0, 0, 360, 1, -1
        )
    if mask.sum() >= SMALL:
        image = cell.base if cell.base is not None else cell
        cell[y : y + h, x : x + w][mask > 0] = (
            image[:, :, 0].max() + 1,
            data.draw(st.integers(0, 1)),
            0,
        )


@settings(deadline=None, max_examples=100)
@given(
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    side=st.integers(32, 200),
    overlap=st.floats(0.01, 0.5),
)
def test_tiles_cover_the_image_evenly(size, side, overlap):
    tiles = TileRule(size=side, overlap=overlap).tiles(size)
    covered = np.zeros(size, dtype=np.uint8)
    for tile in tiles:
        assert (tile.right - tile.left, tile.bottom - tile.top) == (
            min(side, size[1]),
            min(side, size[0]),
        )
        assert Box(0, 0, size[1], size[0]).holds(tile)
        covered[tile.top : tile.bottom, tile.left : tile.right] = 1
    assert covered.all()
    lefts = sorted({tile.left for tile in tiles})
    steps = np.diff(lefts)
    assert all(steps <= side * (1 - overlap) + 1) and np.ptp(steps if len(steps) else [0]) <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 8}, "size of tiles is 8; give 32"),
        ({"overlap": 0.0}, r"overlap of tiles is 0\.0"),
        ({"overlap": 0.7}, r"overlap of tiles is 0\.7"),
        ({"merge_thresh": 0.0}, "IoU above 0"),
        ({"merge_thresh": 1.1}, "up to 1"),
        ({"max_instances": 0}, "give 1 or more"),
    ],
)
def test_rules_that_mean_nothing(changes, message):
    with pytest.raises(ValueError, match=message):
        TileRule(**changes)
