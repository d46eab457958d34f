"""A known predictor on squares: which images are looked at, crowds, and the pixels that masks share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from solo.errors import UserError
from solo.evaluation.coco import predicted_rles
from solo.report.held_out import _overlaps, examine
from solo.report.verdicts import Kind
from tests.report.known_predictor import Perfect
from tests.toys import registered, square, write_records


@pytest.mark.parametrize("image_id", [int, "image {}".format], ids=["numbers", "names"])
def test_crowds_are_neither_objects_nor_errors(tmp_path, image_id):
    records = write_records(tmp_path, [[square(4, 4, 12), square(24, 8, 30, 1)]] * 2)
    for record in records:
        record["image_id"] = image_id(record["image_id"])
        record["annotations"] = [
            dict(item, iscrowd=index) for index, item in enumerate(record["annotations"])
        ]
    with registered(records) as name:
        held_out = examine(Perfect(records), name)
    assert held_out.tables["segm"]["AP"] == held_out.tables["bbox"]["AP"] == pytest.approx(100)
    assert held_out.precisions["segm"].shape == (10, 101, 3)
    for image in held_out.images:
        assert image.verdict.predictions.tolist() == [Kind.CORRECT, Kind.IGNORED]
        assert image.verdict.objects.tolist() == [Kind.CORRECT]


def test_some_images_are_spread_evenly_and_alone_count(tmp_path):
    records = write_records(tmp_path, [[square(4, 4, 12 + index)] for index in range(5)])
    with registered(records) as name:
        held_out = examine(Perfect(records[::2]), name, num_images=3)
    assert [image.file_name[-5:] for image in held_out.images] == ["0.png", "2.png", "4.png"]
    assert held_out.num_records == 5
    assert held_out.tables["segm"]["AP"] == pytest.approx(100)


def examine_changed(records, change):
    """Examine what a model of three classes finds that finds all objects, but for a change."""

    def predict(image):
        return change(Perfect(records)(image))

    predict.category_ids = (0, 1, 2)
    predict.class_names = ()
    with registered(records) as name:
        return examine(predict, name)


def test_what_is_under_the_threshold_is_left_out(tmp_path):
    records = write_records(tmp_path, [[square(4, 4, 12), square(24, 8, 20, 1)]])

    def change(found):
        # The second one is no object's class, and does not help.
        found.pred_classes[1], found.scores[1] = 2, 0.3
        return found

    held_out = examine_changed(records, change)
    assert 0.3 < held_out.threshold <= 0.9
    assert held_out.images[0].verdict.predictions.tolist() == [Kind.CORRECT]
    assert held_out.images[0].verdict.objects.tolist() == [Kind.CORRECT, Kind.MISSED]


def test_an_object_is_judged_once_and_ap_is_of_all(tmp_path):
    records = write_records(tmp_path, [[square(4, 4, 12), square(24, 8, 20, 1)]])

    def change(found):
        # The first object once more, under another name and with more confidence: rows 0, 0 and 1.
        found = found[torch.tensor([0, 0, 1])]
        found.pred_classes[1], found.scores[1] = 1, 0.95
        return found

    held_out = examine_changed(records, change)
    assert held_out.second_labels == 1
    (image,) = held_out.images
    assert image.found.pred_classes.tolist() == [1, 1]
    assert image.verdict.predictions.tolist() == [Kind.WRONG_CLASS, Kind.CORRECT]
    assert image.verdict.mistaken.tolist() == [0, -1]
    # The first label found the object, the second one came before the right one of its class.
    assert held_out.tables["segm"]["AP-red"] == pytest.approx(100)
    assert held_out.tables["segm"]["AP-green"] == pytest.approx(50)
    assert np.isnan(held_out.class_thresholds).tolist() == [True, False, True]


def test_objects_in_unreadable_images_alone_are_nothing_to_compare_with(tmp_path):
    records = write_records(tmp_path, [[square(4, 4, 12)], []])
    Path(records[0]["file_name"]).unlink()
    with (
        registered(records) as name,
        pytest.raises(UserError, match=r"None of the 1 images of .* that can be read has an anno"),
    ):
        examine(Perfect(records), name)


# Over 255 masks at a time are too many for some functions of pycocotools.
@pytest.mark.parametrize("count", [0, 3, 300])
def test_shared_pixels_are_exact(count):
    masks = torch.rand(count + 2, 9, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    rles = predicted_rles(Instances((9, 7), pred_masks=masks))
    pixels = masks.flatten(1).numpy().astype(int)
    overlaps = _overlaps(rles[:count], rles[count:])
    np.testing.assert_array_equal(overlaps.shared, pixels[:count] @ pixels[count:].T)
    np.testing.assert_array_equal(overlaps.predictions, pixels[:count] @ pixels[:count].T)
    np.testing.assert_array_equal(overlaps.objects, pixels[count:] @ pixels[count:].T)
