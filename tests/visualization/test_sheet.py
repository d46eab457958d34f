"""The sheet of predictions: its layout, and the rows taken from a data set."""

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import BoxMode, Instances

from solo.visualization import SheetRow, dataset_rows, prediction_sheet


def predict_nothing(image):
    found = Instances(image.shape[:2])
    found.pred_masks = torch.zeros((0, *image.shape[:2]), dtype=torch.bool)
    found.pred_classes = torch.zeros(0, dtype=torch.int64)
    found.scores = torch.zeros(0)
    return found


@pytest.fixture
def dataset(tmp_path):
    records = []
    for index in range(7):
        path = str(tmp_path / f"{index}.png")
        cv2.imwrite(path, np.full((20, 30, 3), index, dtype=np.uint8))
        annotation = {
            "bbox": [5, 5, 10, 10],
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": 1,
            "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]],
            "iscrowd": int(index == 6),
        }
        records.append({"file_name": path, "annotations": [annotation]})
    del records[0]["annotations"]
    return records


def test_rows_are_spread_evenly(dataset):
    rows = dataset_rows(dataset, predict_nothing, 3)
    assert [row.image[0, 0, 0] for row in rows] == [0, 3, 6]
    # The first has no annotations, the last only a crowd.
    assert [len(row.truth) for row in rows] == [0, 1, 0]
    assert len(dataset_rows(dataset, predict_nothing, 100)) == 7


def test_no_images_are_refused(dataset):
    with pytest.raises(ValueError, match="Cannot take 0 images"):
        dataset_rows(dataset, predict_nothing, 0)
    with pytest.raises(ValueError, match="data set of 0"):
        dataset_rows([], predict_nothing, 3)
    with pytest.raises(ValueError, match="at least one image"):
        prediction_sheet([])


def test_ground_truth_is_drawn_in_its_column_only(dataset):
    (row,) = dataset_rows(dataset[3:4], predict_nothing, 1)
    sheet = prediction_sheet([row], ["zero", "one"], cell_size=100)
    # Three cells of 100 pixels with gaps of 6, after a margin of 16.
    cells = [sheet[40:100, 16 + 106 * k : 116 + 106 * k].astype(int) for k in range(3)]
    colored = [bool((np.ptp(cell, axis=2) > 60).any()) for cell in cells]
    assert colored == [False, True, False]


def test_any_number_of_images_of_any_shape():
    rows = []
    for height, width in ((20, 90), (90, 20), (1, 1), (400, 300), (10, 10), (12, 13), (5, 5)):
        image = np.zeros((height, width, 3), dtype=np.uint8)
        truth = predict_nothing(image)
        rows.append(SheetRow(image, truth, truth))
        sheet = prediction_sheet(rows, cell_size=60)
        assert sheet.dtype == np.uint8
        assert sheet.shape[1] == (1 if len(rows) <= 5 else 2) * (3 * 66 - 6 + 32)
