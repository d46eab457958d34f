import sys

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import DatasetEvaluators

from solo.evaluation import CityscapesInstanceEvaluator, COCOEvaluator, build_evaluator


@pytest.fixture
def dataset():
    """A name whose metadata a test fills."""
    DatasetCatalog.register("toy_build", list)
    yield lambda **fields: MetadataCatalog.get("toy_build").set(thing_classes=["cat"], **fields)
    DatasetCatalog.remove("toy_build")
    MetadataCatalog.pop("toy_build", None)


def test_without_a_type_it_is_coco(dataset):
    dataset()
    assert isinstance(build_evaluator("toy_build", None), COCOEvaluator)


def test_voc_gets_coco_tables_too(dataset):
    dataset(evaluator_type="voc_instance")
    assert isinstance(build_evaluator("toy_build", None), DatasetEvaluators)


def test_cityscapes(dataset, monkeypatch):
    dataset(evaluator_type="cityscapes_instance", gt_dir="nowhere")
    built = build_evaluator("toy_build", None)
    assert isinstance(built, CityscapesInstanceEvaluator)
    with_boundaries = build_evaluator("toy_build", None, ("bbox", "segm", "boundary"))
    assert [type(one) for one in with_boundaries._evaluators] == [type(built), COCOEvaluator]
    monkeypatch.setitem(sys.modules, "cityscapesscripts.helpers.labels", None)
    with pytest.raises(ValueError, match="pip install cityscapesscripts"):
        build_evaluator("toy_build", None)


def test_another_type_is_named(dataset):
    dataset(evaluator_type="lvis")
    with pytest.raises(ValueError, match=r"'lvis'.*'coco'.*'cityscapes_instance'"):
        build_evaluator("toy_build", None)
