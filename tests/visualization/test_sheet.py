"""The sheet of predictions: its layout."""

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from solo.visualization import SheetRow, prediction_sheet
from solo.visualization.marks import Mark, Marks
from solo.visualization.text import has_font
from tests.conftest import rectangles


def predict_nothing(image):
    found = Instances(image.shape[:2])
    found.pred_masks = torch.zeros((0, *image.shape[:2]), dtype=torch.bool)
    found.pred_classes = torch.zeros(0, dtype=torch.int64)
    found.scores = torch.zeros(0)
    return found


def test_ground_truth_is_drawn_in_its_column_only():
    image = np.full((20, 30, 3), 3, dtype=np.uint8)
    truth = rectangles((20, 30), [(5, 5, 15, 15)], [1])
    sheet = prediction_sheet(
        [SheetRow(image, truth, predict_nothing(image))], ["zero", "one"], cell_size=100
    )
    # Three cells of 100 pixels with gaps of 6, after a margin of 16.
    cells = [sheet[40:100, 16 + 106 * k : 116 + 106 * k].astype(int) for k in range(3)]
    colored = [bool((np.ptp(cell, axis=2) > 60).any()) for cell in cells]
    assert colored == [False, True, False]


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        prediction_sheet([])


def test_any_number_of_images_of_any_shape():
    rows = []
    for height, width in ((20, 90), (90, 20), (1, 1), (400, 300), (10, 10), (12, 13), (5, 5)):
        image = np.zeros((height, width, 3), dtype=np.uint8)
        truth = predict_nothing(image)
        rows.append(SheetRow(image, truth, truth))
        sheet = prediction_sheet(rows, cell_size=60)
        assert sheet.dtype == np.uint8
        assert sheet.shape[1] == (1 if len(rows) <= 5 else 2) * (3 * 66 - 6 + 32)


def marked(*prediction, truth=(None,), matches=None):
    """A row with one object, of class 0, and predictions of it."""
    image = np.full((60, 60, 3), 90, dtype=np.uint8)
    objects = rectangles((60, 60), [(15, 15, 45, 45)], [0])
    found = Instances((60, 60))
    found.pred_masks = objects.gt_masks.tensor.repeat(len(prediction), 1, 1)
    found.pred_classes = torch.zeros(len(prediction), dtype=torch.int64)
    found.scores = torch.full((len(prediction),), 0.9)
    matches = [0] * len(prediction) if matches is None else matches
    return SheetRow(image, objects, found, Marks(truth, prediction, matches))


def cells_of(row, **settings):
    sheet = prediction_sheet([row], ["zero"], cell_size=300, **settings)
    return [
        sheet[42:342, 16 + 306 * column : 316 + 306 * column].astype(int) for column in range(3)
    ]


def test_an_object_and_what_found_it_have_one_hue():
    _, truth, found = cells_of(marked(Mark.FOUND))
    np.testing.assert_array_equal(truth[150, 150], found[150, 150])
    # A prediction that has nothing to do with it does not share its hue.
    _, truth, found = cells_of(marked(Mark.NO_OBJECT, matches=[-1]))
    inside = (slice(110, 190), slice(110, 190))
    assert not (found[inside] == truth[150, 150]).all(axis=2).any()


def test_marks_differ_in_line_and_filling_not_in_colour_alone():
    found, wrong_class, no_object = (
        cells_of(marked(mark))[2].sum(axis=2)
        for mark in (Mark.FOUND, Mark.WRONG_CLASS, Mark.NO_OBJECT)
    )
    inside = (slice(100, 200), slice(150, 151))
    edge = (slice(75, 77), slice(100, 200))  # the upper border of the object
    assert np.ptp(found[inside]) == np.ptp(wrong_class[inside]) == 0 < np.ptp(no_object[inside])
    assert np.ptp(found[edge].mean(axis=0)) < 30
    assert min(np.ptp(one[edge].mean(axis=0)) for one in (wrong_class, no_object)) > 100
    signs = {mark.value.sign for mark in Mark}
    assert len(signs) == len(Mark) and all(map(has_font, signs))


def test_missed_objects_are_marked_among_the_objects():
    _, truth, _ = cells_of(marked(truth=[Mark.MISSED]))
    assert np.ptp(truth[100:200, 150].sum(axis=1)) > 30, "hatched"


def test_the_legend_is_there_where_marks_are():
    row = marked(Mark.FOUND)
    plain = prediction_sheet([row._replace(marks=None)], cell_size=60)
    with_legend = prediction_sheet([row], cell_size=60)
    assert with_legend.shape[0] > plain.shape[0] and with_legend.shape[1] == plain.shape[1]
    # What is below the threshold is not drawn, and counts for nothing.
    assert prediction_sheet([row], cell_size=60, threshold=0.95).shape == plain.shape


def test_the_threshold_is_in_the_title():
    row = marked(Mark.FOUND)
    with_threshold, without = (
        prediction_sheet([row], cell_size=300, threshold=threshold)[:40, 16 + 2 * 306 :]
        for threshold in (0.3, 0)
    )
    assert (with_threshold < 200).sum() > 1.3 * (without < 200).sum()


def test_a_sign_that_only_an_object_has_is_in_the_legend_too():
    alone, with_sign = (
        prediction_sheet([marked(Mark.FOUND, truth=[mark])], cell_size=300)[360:]
        for mark in (None, Mark.WRONG_MASK)
    )
    assert (with_sign < 200).sum() > 1.3 * (alone < 200).sum()
