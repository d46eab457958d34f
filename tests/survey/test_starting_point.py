import pytest

from solo.errors import UserError
from solo.model_zoo import DEFAULT_MODEL
from solo.report.run_folder import open_run
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


def test_a_run_goes_on_from_the_weights_that_the_other_verbs_take(tmp_path):
    write_config(make_cfg(), tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        starting_point(str(tmp_path))
    assert starting_point(str(tmp_path), "none").weights == ""
    for name in ("model_best.pth", "model_0000003.pth", "model_final.pth"):
        (tmp_path / name).touch()
        if name != "model_best.pth":
            (tmp_path / "last_checkpoint").write_text(name)
            start = starting_point(str(tmp_path))
            assert start.weights == str(open_run(tmp_path).weights) == str(tmp_path / name)
            assert start.trained is Trained.ALL
    assert start.config().MODEL.SOLO.CONV_DIM == 32
    assert starting_point(str(tmp_path), "a.pth").weights == "a.pth"


@pytest.mark.parametrize(
    ("weights", "trained"),
    [
        ("solo://imagenet/resnet18", Trained.BACKBONE),
        ("resnet18-f37072fd.pth", Trained.BACKBONE),
        ("timm://resnet18.a1_in1k", Trained.BACKBONE),
        ("R-50.pkl", Trained.BACKBONE),
        ("solo://coco/solov2_R_50_FPN_3x", Trained.ALL),
    ],
)
def test_what_weights_are_of(weights, trained, tmp_path):
    assert starting_point(weights=weights).trained is trained
    cfg = make_cfg()
    cfg.MODEL.WEIGHTS = weights
    assert starting_point(str(write_config(cfg, tmp_path))).trained is trained


def test_the_fine_tuning_config_has_weights_of_a_whole_model():
    assert starting_point("finetune/solov2_light_448_R_50_FPN_50e").trained is Trained.ALL


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
