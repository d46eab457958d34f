"""Evaluation of a predictor that knows the truth of each image, and of others."""

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import annotations_to_instances
from detectron2.structures import Boxes, Instances
from PIL import Image

from solo.inference import Predictor
from solo.inference.evaluate import evaluate
from tests.toys import registered, square, write_records


class Oracle:
    """Finds the objects of images that it knows by their pixels."""

    class_names = ()
    category_ids = (0, 1, 2)

    def __init__(self, records):
        self.truths = {pixels(record).tobytes(): list(record["annotations"]) for record in records}
        self.asked = 0

    def find(self, images):
        self.asked += len(images)
        return [self.find_in(image) for image in images]

    def find_in(self, image):
        size = image.shape[:2]
        truth = annotations_to_instances(self.truths[image.tobytes()], size, mask_format="bitmask")
        masks = truth.gt_masks.tensor if len(truth) else torch.zeros(0, *size, dtype=torch.bool)
        return Instances(
            size,
            pred_boxes=Boxes(truth.gt_boxes.tensor),
            scores=torch.linspace(0.9, 0.5, len(truth)),
            pred_classes=truth.gt_classes,
            pred_masks=masks,
        )


def pixels(record):
    """What a file holds, BGR."""
    return np.ascontiguousarray(np.asarray(Image.open(record["file_name"]))[:, :, ::-1])


@pytest.fixture
def records(tmp_path):
    # The even images show a square of class 0, the odd ones one of class 2.
    return write_records(tmp_path, [[square(8, 8, 20, index % 2 * 2)] for index in range(4)])


@pytest.fixture
def dataset(records):
    with registered(records) as name:
        yield name


def test_what_is_right_gets_100_and_what_is_missing_0(records, dataset, tmp_path):
    oracle = Oracle(records)
    results = evaluate(Predictor(oracle), dataset, output_dir=str(tmp_path))
    assert results["segm"]["AP"] == results["bbox"]["AP"] == pytest.approx(100)
    assert oracle.asked == 4 and (tmp_path / "coco_instances_results.json").is_file()

    for annotations in list(oracle.truths.values())[1::2]:
        annotations.clear()
    results = evaluate(Predictor(oracle), dataset)
    assert results["segm"]["AP-red"] == pytest.approx(100) and results["segm"]["AP-blue"] == 0


def test_some_images_count_only_their_objects(records, dataset):
    oracle = Oracle(records)
    # The first and the last of four: with the objects of all, AP is half of that.
    results = evaluate(Predictor(oracle), dataset, num_images=2)
    assert oracle.asked == 2 and results["segm"]["AP"] == pytest.approx(100)
    assert evaluate(Predictor(oracle), dataset, num_images=9)["segm"]["AP"] == pytest.approx(100)
    with pytest.raises(ValueError, match="ask for 1 at least"):
        evaluate(Predictor(oracle), dataset, num_images=0)


def test_some_images_need_an_evaluator_that_can(records, dataset):
    MetadataCatalog.get(dataset).evaluator_type = "voc_instance"
    with pytest.raises(ValueError, match="leave out the number of images"):
        evaluate(Predictor(Oracle(records)), dataset, num_images=2)


def test_another_number_of_classes_is_refused(records, dataset):
    oracle = Oracle(records)
    oracle.category_ids = tuple(range(80))
    with pytest.raises(ValueError, match=r"The model has 80 classes, and the data set .* has 3"):
        evaluate(Predictor(oracle), dataset)


def test_unknown_and_unreadable_data(records, dataset):
    with pytest.raises(ValueError, match="There is no data set 'no_such_set'"):
        evaluate(Predictor(Oracle(records)), "no_such_set")
    oracle = Oracle(records)
    DatasetCatalog.get(dataset)[1]["file_name"] += ".gone"
    with pytest.raises(ValueError, match=r"cannot read the image .*1\.png\.gone"):
        evaluate(Predictor(oracle), dataset)


def test_another_order_of_the_classes_is_refused(records, dataset):
    oracle = Oracle(records)
    names = MetadataCatalog.get(dataset).thing_classes
    oracle.class_names = tuple(reversed(names))
    with pytest.raises(ValueError, match="are in another order than those of the data set"):
        evaluate(Predictor(oracle), dataset)
