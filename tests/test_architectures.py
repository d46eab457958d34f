import pytest

from solo import architectures
from solo.benchmark.models import load_model
from solo.config.validity import check_parts
from solo.data import resolve_num_classes
from solo.errors import UserError
from solo.modeling import SOLO, SOLOv2
from solo.survey.analysis import analyze_dataset
from solo.survey.drawings import target_sheet
from tests.box_finder import BoxFinder, box_cfg, elsewhere_cfg
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


def test_boundaries_are_a_task_of_what_has_masks():
    for cfg, tasks in ((make_cfg(), ("bbox", "segm", "boundary")), (box_cfg(), ("bbox",))):
        cfg.TEST.BOUNDARY_AP = True
        assert architectures.tasks_of(cfg) == tasks == architectures.with_boundary(tasks)


def test_an_unknown_name_has_no_class():
    cfg = make_cfg()
    cfg.MODEL.META_ARCHITECTURE = "NotRegistered"
    with pytest.raises(KeyError):
        architectures.architecture(cfg)


def test_classes_are_counted_in_the_node_of_the_model():
    cfg = elsewhere_cfg()
    assert architectures.class_key(cfg) == "MODEL.ELSEWHERE.NUM_CLASSES"
    with pytest.raises(UserError, match=r"Set MODEL\.ELSEWHERE\.NUM_CLASSES"):
        resolve_num_classes(cfg)
    resolve_num_classes(cfg, ["a", "b"])
    assert (cfg.MODEL.ELSEWHERE.NUM_CLASSES, cfg.MODEL.SOLO.NUM_CLASSES) == (2, 3)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (load_model, "The benchmark of stages"),
        (lambda cfg: analyze_dataset(cfg, 1), "The survey of sizes, levels and grids"),
        (lambda cfg: target_sheet(cfg, 1), "What --targets shows"),
        (check_parts, r"MODEL\.SOLO\.FREEZE backbone"),
    ],
)
def test_what_only_solo_has_is_refused_of_others_in_a_sentence(ask, what):
    cfg = elsewhere_cfg()
    cfg.MODEL.SOLO.FREEZE = "backbone"
    with pytest.raises(UserError, match=f"{what}.* is of SOLO and SOLOv2 only, and .*Elsewhere"):
        ask(cfg)
