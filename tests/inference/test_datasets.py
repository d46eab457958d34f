"""Evaluation of a predictor that knows the truth of each image, and of others; of a model, again and again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import annotations_to_instances
from detectron2.evaluation import inference_on_dataset
from detectron2.structures import Boxes, Instances
from PIL import Image
from pycocotools import mask as coco_mask

from solo.data import build_test_loader
from solo.errors import UserError
from solo.evaluation import build_evaluator
from solo.inference import Predictor
from solo.inference.datasets import (
    best_metric_name,
    choose_records,
    evaluate,
    evaluate_predictor,
    evaluate_with_tta,
    prepare_evaluation,
)
from tests.conftest import build
from tests.toys import registered, square, toy_cfg, write_records


class Oracle:
    """Finds the objects of images that it knows by their pixels."""

    class_names = ()
    category_ids = (0, 1, 2)

    def __init__(self, records):
        self.truths = {pixels(record).tobytes(): list(record["annotations"]) for record in records}
        self.asked = 0

    def find(self, images, least=0.0):
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
    results = evaluate_predictor(Predictor(oracle), dataset, output_dir=str(tmp_path))
    assert results["segm"]["AP"] == results["bbox"]["AP"] == pytest.approx(100)
    assert oracle.asked == 4 and (tmp_path / "coco_instances_results.json").is_file()

    for annotations in list(oracle.truths.values())[1::2]:
        annotations.clear()
    results = evaluate_predictor(Predictor(oracle), dataset)
    assert results["segm"]["AP-red"] == pytest.approx(100) and results["segm"]["AP-blue"] == 0


def test_some_images_count_only_their_objects(records, dataset):
    oracle = Oracle(records)
    # The first and the last of four: with the objects of all, AP is half of that.
    results = evaluate_predictor(Predictor(oracle), dataset, num_images=2)
    assert oracle.asked == 2 and results["segm"]["AP"] == pytest.approx(100)
    assert evaluate_predictor(Predictor(oracle), dataset, num_images=9)["segm"][
        "AP"
    ] == pytest.approx(100)
    with pytest.raises(ValueError, match="ask for 1 at least"):
        evaluate_predictor(Predictor(oracle), dataset, num_images=0)


def test_some_images_need_an_evaluator_that_can(records, dataset):
    MetadataCatalog.get(dataset).evaluator_type = "voc_instance"
    with pytest.raises(ValueError, match="leave out the number of images"):
        evaluate_predictor(Predictor(Oracle(records)), dataset, num_images=2)


def test_another_number_of_classes_is_refused(records, dataset):
    oracle = Oracle(records)
    oracle.category_ids = tuple(range(80))
    with pytest.raises(ValueError, match=r"The model has 80 classes, and the data set .* has 3"):
        evaluate_predictor(Predictor(oracle), dataset)


def test_an_unknown_data_set(records):
    with pytest.raises(ValueError, match="There is no data set 'no_such_set'"):
        evaluate_predictor(Predictor(Oracle(records)), "no_such_set")


def spoil(records):
    """Take away one image, half of another, and the size of a third; the first is left."""
    records[1]["file_name"] += ".gone"
    path = Path(records[2]["file_name"])
    path.write_bytes(path.read_bytes()[:2000])
    records[3]["width"] += 1


@pytest.mark.parametrize("num_images", [None, 4])
def test_the_rest_of_unreadable_images_is_measured(records, dataset, caplog, num_images):
    oracle = Oracle(records)
    spoil(DatasetCatalog.get(dataset))
    results = evaluate_predictor(Predictor(oracle), dataset, num_images=num_images)
    assert results["segm"]["AP"] == pytest.approx(100) and oracle.asked == 1
    last = caplog.messages[-1]
    assert last.startswith(f"3 of 4 images of {dataset} could not be read and are not measured: ")
    assert all(f"{name}.png" in last for name in "123")


def test_voc_leaves_unreadable_images_out_too(records, dataset):
    oracle = Oracle(records)
    records = DatasetCatalog.get(dataset)
    for record in records:
        (item,) = record["annotations"]
        (item["segmentation"],) = coco_mask.frPyObjects(item["segmentation"], 48, 64)
    spoil(records)
    MetadataCatalog.get(dataset).evaluator_type = "voc_instance"
    results = evaluate_predictor(Predictor(oracle), dataset)
    assert results["segm"]["AP"] == results["voc"]["APr_vol"] == pytest.approx(100)


def test_another_order_of_the_classes_is_refused(records, dataset):
    oracle = Oracle(records)
    names = MetadataCatalog.get(dataset).thing_classes
    oracle.class_names = tuple(reversed(names))
    with pytest.raises(ValueError, match="are in another order than those of the data set"):
        choose_records(Predictor(oracle), dataset)


class Renumbered(Oracle):
    """Numbers its classes, which are blue, red and others, in its own way, and sees a cat everywhere."""

    class_names = ("blue", "cat", "red", "dog")
    category_ids = (0, 1, 2, 3)

    def find_in(self, image):
        found = super().find_in(image)
        cats = Instances(found.image_size, **found.get_fields())
        found.pred_classes = torch.tensor([2, -1, 0])[found.pred_classes]
        cats.pred_classes = torch.ones_like(found.pred_classes)
        return Instances.cat([cats, found])


def test_classes_in_another_order_go_by_name(records, dataset, caplog, tmp_path):
    predictor = Predictor(Renumbered(records))
    results = evaluate_predictor(predictor, dataset, output_dir=str(tmp_path))
    assert results["segm"]["AP-red"] == results["segm"]["AP-blue"] == pytest.approx(100)
    assert (
        "What the model finds of cat, dog is left out. There are no objects of green" in caplog.text
    )
    written = json.loads((tmp_path / "coco_instances_results.json").read_text())
    assert [(found["image_id"], found["category_id"]) for found in written] == [
        (0, 0),
        (1, 2),
        (2, 0),
        (3, 2),
    ]


def test_classes_are_the_same_however_they_are_spelled(records, dataset, caplog, monkeypatch):
    spelled = ["Red_Car", "Green-Car", "bluecar"]
    monkeypatch.setitem(vars(MetadataCatalog.get(dataset)), "thing_classes", spelled)
    oracle = Renumbered(records)
    oracle.class_names, oracle.category_ids = ("blue car", "green car", "red car"), (0, 1, 2)
    with pytest.raises(UserError, match="are in another order than those of the data set"):
        choose_records(Predictor(oracle), dataset)
    results = evaluate_predictor(Predictor(oracle), dataset)
    assert results["segm"]["AP-Red_Car"] == results["segm"]["AP-bluecar"] == pytest.approx(100)
    assert "is left out" not in caplog.text

    caplog.clear()
    oracle = Oracle(records)
    oracle.class_names = ("red car", "green car", "blue car")
    assert choose_records(Predictor(oracle), dataset)
    assert evaluate_predictor(Predictor(oracle), dataset)["segm"]["AP"] == pytest.approx(100)
    assert "by their number" not in caplog.text


def test_objects_of_a_class_that_the_model_lacks_are_refused(records, dataset):
    oracle = Renumbered(records)
    oracle.class_names = ("blue", "cat", "green", "dog")
    with pytest.raises(UserError, match=r"objects of classes that the model lacks, red \(2\)"):
        evaluate_predictor(Predictor(oracle), dataset)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), False),
        (("red", "green", "blue"), False),
        (("1", "2", "3"), True),
        (("red", "g", "b"), True),
    ],
)
def test_as_many_classes_without_a_name_elsewhere_go_by_number(
    records, dataset, caplog, names, told
):
    oracle = Oracle(records)
    oracle.class_names = names
    results = evaluate_predictor(Predictor(oracle), dataset)
    assert results["segm"]["AP"] == pytest.approx(100)
    assert ("by their number" in caplog.text) == told


@pytest.fixture
def cfg(dataset, tmp_path):
    cfg = toy_cfg(dataset)
    cfg.DATASETS.TEST = (dataset,)
    cfg.INPUT.MIN_SIZE_TEST = 48
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.005
    cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    cfg.OUTPUT_DIR = str(tmp_path / "out")
    return cfg


def test_a_model_gets_what_detectron2s_own_loop_gives_it(cfg, dataset, tmp_path):
    model = build(cfg)
    open_datasets = prepare_evaluation(cfg, model)
    found = tmp_path / "out" / "inference" / dataset / "coco_instances_results.json"
    results = evaluate(cfg, model, open_datasets)
    written = found.read_text()
    assert len(json.loads(written)) > 40
    evaluator = build_evaluator(dataset, str(tmp_path / "theirs"))
    theirs = inference_on_dataset(model, build_test_loader(cfg, dataset), evaluator)
    assert same(results, theirs)
    assert (tmp_path / "theirs" / "coco_instances_results.json").read_text() == written
    # What was opened serves again, as does what is opened on the way.
    assert same(evaluate(cfg, model, open_datasets), results) and found.read_text() == written
    assert same(evaluate(cfg, model), results)
    assert model.training


@pytest.mark.parametrize("workers", [0, 1])
def test_a_model_is_measured_on_the_images_that_can_be_read(cfg, dataset, records, workers):
    cfg.DATALOADER.NUM_WORKERS = workers
    model = build(cfg)
    spoil(DatasetCatalog.get(dataset))
    results = evaluate(cfg, model)
    with registered(records[:1]) as rest:
        cfg.DATASETS.TEST = (rest,)
        assert same(results, evaluate(cfg, model))
    with registered(DatasetCatalog.get(dataset)[1:]) as rest:
        cfg.DATASETS.TEST = (rest,)
        with pytest.raises(UserError, match=r"none of the 3 images of .* evaluated.*1\.png\.gone"):
            evaluate(cfg, model)


def same(results, others):
    """Also where there is no number."""
    return json.dumps(results) == json.dumps(others)


def test_several_data_sets_and_views_have_their_names(cfg, dataset, records):
    with registered(records) as other:
        cfg.DATASETS.TEST = (dataset, other)
        assert best_metric_name(cfg) == f"{dataset}/segm/AP"
        model = build(cfg)
        results = evaluate(cfg, model)
        assert list(results) == [dataset, other] and same(results[dataset], results[other])
        cfg.DATASETS.TEST = (other,)
        cfg.TEST.AUG.MIN_SIZES, cfg.TEST.AUG.FLIP = (48,), False
        results = evaluate_with_tta(cfg, model)
    assert list(results) == ["bbox_TTA", "segm_TTA"]


def test_boundaries_are_evaluated_in_all_ways(cfg, dataset):
    model = build(cfg)
    plain = evaluate(cfg, model)
    cfg.TEST.BOUNDARY_AP = True
    cfg.TEST.AUG.MIN_SIZES, cfg.TEST.AUG.FLIP = (48,), False
    results = evaluate(cfg, model)
    assert list(results) == ["bbox", "segm", "boundary"]
    assert same({task: results[task] for task in plain}, plain)
    views = evaluate_with_tta(cfg, model)
    assert list(views) == ["bbox_TTA", "segm_TTA", "boundary_TTA"]


def test_what_cannot_be_evaluated_on_is_told_before(cfg, dataset, records):
    model = build(cfg)
    cfg.DATASETS.TEST = ("no_such_set",)
    with pytest.raises(UserError, match="There is no data set 'no_such_set'"):
        prepare_evaluation(cfg, model)
    cfg.DATASETS.TEST = (dataset,)
    MetadataCatalog.get(dataset).evaluator_type = "lvis"
    with pytest.raises(UserError, match="lvis"):
        prepare_evaluation(cfg, model)
    cfg.TEST.AUG.ENABLED, cfg.TEST.AUG.MIN_SIZES = True, ()
    with pytest.raises(UserError, match=r"TEST\.AUG\.MIN_SIZES is empty"):
        prepare_evaluation(cfg, model)
