"""What is drawn, where, and on which pictures drawing still works."""

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.structures import BitMasks, Boxes, Instances, PolygonMasks

from solo.structures.cutouts import get_cutouts
from solo.visualization import draw_instances
from solo.visualization.draw import PALETTE, label_text


def make_instances(masks, scores=None, classes=None):
    masks = torch.as_tensor(np.asarray(masks, dtype=bool))
    instances = Instances(tuple(masks.shape[1:]))
    instances.pred_masks = masks
    instances.scores = torch.tensor(scores or [0.9] * len(masks))
    instances.pred_classes = torch.tensor(classes or [0] * len(masks), dtype=torch.int64)
    instances.pred_boxes = Boxes(torch.zeros(len(masks), 4))
    return instances


def square(size, top, left, side):
    mask = np.zeros((size, size), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_fill_is_the_blend_of_picture_and_color():
    image = np.full((200, 200, 3), 100, dtype=np.uint8)
    drawn = draw_instances(image, make_instances([square(200, 80, 60, 60)]), alpha=0.5)
    expected = [round((100 + channel) / 2) for channel in PALETTE[0]]
    np.testing.assert_allclose(drawn[110, 90], expected, atol=1)
    assert (drawn[180, 180] == 100).all()
    assert (image == 100).all(), "the picture given must not change"
    # The contour, on the border pixels of the mask; its line is smoothed.
    np.testing.assert_allclose(drawn[139, 90], PALETTE[0], atol=10)


def test_label_is_near_the_mask_and_inside_the_picture():
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    for top, left in ((0, 0), (0, 180), (180, 0), (180, 180), (90, 90)):
        drawn = draw_instances(image, make_instances([square(200, top, left, 20)]), ["zero"])
        rows, columns = np.nonzero(drawn.any(axis=2))
        # "zero 90%" is wider than the mask; there is nothing but the mask and this line.
        assert columns.max() - columns.min() > 40
        assert rows.max() - rows.min() < 45


def test_labels_do_not_cover_each_other():
    image = np.zeros((300, 300, 3), dtype=np.uint8)
    same = [square(300, 100, 100, 80)] * 4
    drawn = draw_instances(image, make_instances(same))
    for color in PALETTE[:4]:
        assert (drawn == color).all(axis=2).sum() > 300, "the background of each label shows"


def test_colors_are_steady_by_class_and_differ_by_instance():
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    masks = [square(100, 60, 5, 30), square(100, 60, 60, 30)]
    instances = make_instances(masks, classes=[7, 7])
    by_class = draw_instances(image, instances, color_by="class")
    by_instance = draw_instances(image, instances)
    assert (by_class[75, 20] == by_class[75, 75]).all()
    assert (by_instance[75, 20] != by_instance[75, 75]).any()
    by_number = draw_instances(image, instances, color_by=np.array([3, 3 + len(PALETTE)]))
    assert (by_number[75, 20] == by_number[75, 75]).all()
    assert (by_number[75, 20] != by_class[75, 20]).any()
    assert len(set(PALETTE)) == len(PALETTE)


def test_bitmasks_rles_and_annotations_are_drawn_alike():
    mask = square(60, 20, 10, 25)
    image = np.zeros((60, 60, 3), dtype=np.uint8)
    expected = draw_instances(image, make_instances([mask]))

    rles = make_instances([mask])
    rles.remove("pred_masks")
    rles.pred_rles = [mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))]
    np.testing.assert_array_equal(draw_instances(image, rles), expected)

    for masks in (BitMasks(mask[None]), PolygonMasks([[[10, 20, 35, 20, 35, 45, 10, 45]]])):
        truth = Instances((60, 60))
        truth.gt_masks, truth.gt_classes = masks, torch.tensor([0])
        (cutout,) = get_cutouts(truth)
        assert (cutout.left, cutout.top, cutout.mask.shape) == (10, 20, (25, 25))
        assert cutout.score is None


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2), (12, 12)])
def test_very_small_pictures(size):
    image = np.zeros((*size, 3), dtype=np.uint8)
    masks = np.ones((2, *size), dtype=bool)
    drawn = draw_instances(image, make_instances(masks), ["a very long name of a class"])
    assert drawn.shape == image.shape
    assert drawn.any()


def test_nothing_to_draw_leaves_the_picture_as_it_is():
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    none = make_instances(np.zeros((0, 20, 30)))
    empty_mask = make_instances(np.zeros((1, 20, 30)))
    unsure = make_instances(np.ones((1, 20, 30)), scores=[0.2])
    for instances, threshold in ((none, 0), (empty_mask, 0), (unsure, 0.3)):
        drawn = draw_instances(image, instances, threshold=threshold)
        np.testing.assert_array_equal(drawn, image)


def test_label_text():
    assert label_text(1, 0.934, ["zero", "one"]) == "one 93%"
    assert label_text(0, None, ["zero"]) == "zero"
    assert label_text(3, 0.5, ["zero"]) == "class 3 50%"


def test_what_does_not_fit_is_refused():
    instances = make_instances(np.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="they were predicted on"):
        draw_instances(np.zeros((5, 4, 3), np.uint8), instances)
    with pytest.raises(ValueError, match="uint8"):
        draw_instances(np.zeros((4, 4, 3), np.float32), instances)
    with pytest.raises(ValueError, match="must have pixels"):
        draw_instances(np.zeros((0, 4, 3), np.uint8), instances)
    with pytest.raises(ValueError, match="color_by"):
        draw_instances(np.zeros((4, 4, 3), np.uint8), instances, color_by="x")
    instances.remove("pred_masks")
    instances.remove("pred_boxes")
    with pytest.raises(ValueError, match="no masks to draw"):
        draw_instances(np.zeros((4, 4, 3), np.uint8), instances)


def test_where_masks_overlap_the_smaller_one_is_filled_and_the_contour_behind_goes_on():
    image = np.full((400, 400, 3), 100, dtype=np.uint8)
    large, small = square(400, 60, 60, 240), square(400, 240, 240, 120)
    both = draw_instances(image, make_instances([large, small]))
    alone = draw_instances(image, make_instances([small, small])[:1], color_by=[1])
    # No mixture of two hues.
    np.testing.assert_array_equal(both[275, 275], alone[275, 275])
    # The large one's right border, within the small one.
    np.testing.assert_allclose(both[270:290, 299].mean(axis=0), PALETTE[0], atol=30)


def test_a_filled_object_has_the_hue_of_its_label_whatever_its_own_colour():
    for own in ((0, 200, 0), (200, 0, 0), (0, 0, 200), (30, 30, 30)):
        image = np.full((400, 400, 3), own, dtype=np.uint8)
        drawn = draw_instances(image, make_instances([square(400, 100, 100, 200)]), color_by=[4])
        filled, plain = drawn[200, 200].astype(int), np.array(own)
        target = np.array(PALETTE[4])
        assert np.abs(filled - target).sum() < np.abs(plain - target).sum()
        # Light and shade stay: it is no flat colour.
        assert np.abs(filled - target).sum() > 60


def test_outlines_are_seen_on_ground_of_their_own_colour():
    for number, color in enumerate(PALETTE):
        image = np.full((400, 400, 3), color, dtype=np.uint8)
        drawn = draw_instances(
            image, make_instances([square(400, 150, 100, 200)]), alpha=0, color_by=[number]
        )
        # Above the lower border, where no label is.
        assert np.abs(drawn[340:355, 200].astype(int) - color).sum(axis=1).max() > 100


def test_outlines_leave_small_objects_to_be_seen():
    image = np.full((800, 800, 3), 100, dtype=np.uint8)
    drawn = draw_instances(image, make_instances([square(800, 400, 400, 8)]), alpha=0)
    inside = drawn[400:408, 400:408]
    assert (np.abs(inside.astype(int) - 100) < 30).all(axis=2).mean() > 0.3


def test_the_threshold_is_written_into_a_corner():
    picture = np.full((200, 300, 3), 128, dtype=np.uint8)
    found = Instances((200, 300), scores=torch.zeros(0), pred_classes=torch.zeros(0, dtype=int))
    found.pred_masks = torch.zeros(0, 200, 300, dtype=torch.bool)
    assert np.array_equal(draw_instances(picture, found), picture)
    changed = (draw_instances(picture, found, threshold=0.37) != picture).any(axis=2)
    assert (
        changed[180:, :80].mean() > 0.3 and not changed[:170].any() and not changed[:, 100:].any()
    )
    tiny = picture[:40, :50]
    found = Instances(
        (40, 50), **{**found.get_fields(), "pred_masks": torch.zeros(0, 40, 50, dtype=torch.bool)}
    )
    assert np.array_equal(draw_instances(tiny, found, threshold=0.37), tiny)
