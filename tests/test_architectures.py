import pytest

from solo import architectures
from solo.modeling import SOLO, SOLOv2
from tests.box_finder import BoxFinder, box_cfg
from tests.conftest import make_cfg


@pytest.mark.parametrize(("variant", "made"), [("SOLO", SOLO), ("SOLOv2", SOLOv2)])
def test_solo_predicts_boxes_and_masks_and_needs_masks(variant, made):
    cfg = make_cfg(variant)
    cfg.MODEL.MASK_ON = False  # is for models that say nothing
    assert architectures.architecture(cfg) is made
    assert architectures.tasks_of(cfg) == ("bbox", "segm")
    assert architectures.predicts_masks(cfg) and architectures.needs_masks(cfg)
    assert architectures.class_node(cfg) is cfg.MODEL.SOLO
    assert architectures.class_key(cfg) == "MODEL.SOLO.NUM_CLASSES"


def test_a_model_of_boxes_says_so():
    cfg = box_cfg()
    assert architectures.architecture(cfg) is BoxFinder
    assert architectures.tasks_of(cfg) == ("bbox",)
    assert not architectures.predicts_masks(cfg) and not architectures.needs_masks(cfg)


@pytest.mark.parametrize("name", ["RetinaNet", "NotRegistered"])
@pytest.mark.parametrize(("masks", "tasks"), [(True, ("bbox", "segm")), (False, ("bbox",))])
def test_mask_on_decides_where_a_model_says_nothing(name, masks, tasks):
    cfg = make_cfg()
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.MASK_ON = name, masks
    assert architectures.tasks_of(cfg) == tasks
    assert architectures.needs_masks(cfg) == masks
    assert architectures.node_name(cfg) == "SOLO"


def test_an_unknown_name_has_no_class():
    cfg = make_cfg()
    cfg.MODEL.META_ARCHITECTURE = "NotRegistered"
    with pytest.raises(KeyError):
        architectures.architecture(cfg)
