"""The sheet of predictions: its layout."""

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from solo.visualization import SheetRow, prediction_sheet
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
