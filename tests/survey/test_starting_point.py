import pytest

from solo.errors import UserError
from solo.model_zoo import DEFAULT_MODEL
from solo.survey.starting_point import Trained, starting_point
from tests.conftest import make_cfg
from tests.toys import write_config


@pytest.mark.parametrize("spelled", ["{}", "{}.yaml", "solo://{}"])
def test_a_model_by_its_name(spelled):
    start = starting_point(spelled.format("coco/solov2_R_50_FPN_3x"))
    assert start.config_file == "solo://coco/solov2_R_50_FPN_3x.yaml"
    assert start.weights == "solo://coco/solov2_R_50_FPN_3x" and start.trained is Trained.ALL
    assert start.config().MODEL.META_ARCHITECTURE == "SOLOv2"


def test_without_weights():
    start = starting_point(weights="none")
    assert start.trained is Trained.NOTHING and start.config().MODEL.WEIGHTS == ""
    assert DEFAULT_MODEL in start.config_file and "from scratch" in start.reason


def test_weights_of_a_file():
    start = starting_point(weights="a.pth")
    assert start.trained is Trained.ALL and start.config().MODEL.WEIGHTS == "a.pth"


def test_a_run_goes_on_from_its_best_weights(tmp_path):
    write_config(make_cfg(), tmp_path)
    with pytest.raises(UserError, match="no checkpoint yet"):
        starting_point(str(tmp_path))
    for name in ("model_0000001.pth", "model_0000003.pth", "model_final.pth", "model_best.pth"):
        (tmp_path / name).touch()
        start = starting_point(str(tmp_path))
        assert start.weights == str(tmp_path / name) and start.trained is Trained.ALL
    assert start.config().MODEL.SOLO.CONV_DIM == 32
    assert starting_point(str(tmp_path), "none").weights == ""


def test_a_yaml_of_ones_own_and_its_backbone(tmp_path):
    cfg = make_cfg()
    file = write_config(cfg, tmp_path)
    assert starting_point(str(file)).trained is Trained.NOTHING
    cfg.MODEL.WEIGHTS = "detectron2://backbone.pkl"
    file = write_config(cfg, tmp_path)
    assert starting_point(str(file)).trained is Trained.BACKBONE


def test_a_mistyped_name_is_told_with_what_was_meant():
    with pytest.raises(UserError, match="did you mean coco/solov2_R_50_FPN_3x"):
        starting_point("coco/solov2_R_50_FPN_3")
    with pytest.raises(UserError, match=r"/nosuch/file\.yaml does not exist"):
        starting_point("/nosuch/file.yaml")


def test_a_model_without_published_weights():
    start = starting_point("cityscapes/solov2_light_448_R_50_FPN_3x")
    assert start.trained is Trained.BACKBONE and start.weights.startswith("detectron2://")
    assert starting_point("quickstart/solov2_digits").trained is Trained.NOTHING
