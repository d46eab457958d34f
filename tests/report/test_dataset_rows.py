"""The rows of a sheet, taken from a data set."""

import cv2
import numpy as np
import pytest
import torch
from detectron2.structures import BoxMode, Instances

from solo.errors import UserError
from solo.report.dataset_rows import dataset_rows
from solo.visualization.marks import Mark


def predict_nothing(image):
    return Instances(image.shape[:2])


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


def test_objects_without_boxes_are_shown_as_well(dataset):
    for record in dataset[1:]:
        del record["annotations"][0]["bbox"]
    truth = dataset_rows(dataset, predict_nothing, 7)[1].truth
    expected = np.zeros((20, 30), bool)
    expected[5:15, 5:15] = True
    assert np.array_equal(truth.gt_masks.tensor[0].numpy(), expected)
    assert truth.gt_classes.tolist() == [1]


def test_no_images_are_refused(dataset):
    with pytest.raises(ValueError, match="Cannot take 0 images"):
        dataset_rows(dataset, predict_nothing, 0)
    with pytest.raises(ValueError, match="data set of 0"):
        dataset_rows([], predict_nothing, 3)


def test_images_that_cannot_be_read_are_left_out(dataset, caplog):
    dataset[0]["file_name"] += ".gone"
    dataset[3] |= {"width": 31, "height": 20}
    assert [row.image[0, 0, 0] for row in dataset_rows(dataset, predict_nothing, 3)] == [6]
    assert "0.png.gone" in caplog.text and "3.png" in caplog.text
    with pytest.raises(UserError, match=r"0\.png\.gone"):
        dataset_rows(dataset[:1], predict_nothing, 3)


def test_predictions_are_marked_where_truth_is_known(dataset):
    def predict(image):
        """Find the square, once more under another name, and something beside it."""
        masks = torch.zeros((3, *image.shape[:2]), dtype=torch.bool)
        masks[:2, 5:15, 5:15] = True
        masks[2, :4, 20:] = True
        classes, scores = torch.tensor([1, 0, 1]), torch.tensor([0.9, 0.8, 0.7])
        return Instances(image.shape[:2], pred_masks=masks, pred_classes=classes, scores=scores)

    rows = dataset_rows(dataset, predict, 7, threshold=0.5)
    assert rows[0].marks is None, "it has no annotations"
    assert len(rows[1].prediction) == 2
    assert rows[1].marks.prediction == [Mark.FOUND, Mark.NO_OBJECT]
    assert list(rows[1].marks.matches) == [0, -1] and rows[1].marks.truth == [None]
    # A crowd is no object, and what lies in it is neither right nor wrong.
    assert rows[6].marks.truth == [] and rows[6].marks.prediction[0] is None
    missed = dataset_rows(dataset, predict, 7, threshold=0.95)[1].marks
    assert missed.truth == [Mark.MISSED] and missed.prediction == []
