"""Weights of others go into YOLOX whole, by what their files are like; and out again."""

import pytest
import torch
from detectron2.modeling import build_model

from solo import model_zoo
from solo.checkpoint import SOLOCheckpointer, read_checkpoint, to_mmdet, write_checkpoint
from solo.checkpoint.comparison import is_counter
from solo.checkpoint.lineages import Lineage, recognise
from solo.checkpoint.published import PUBLISHED
from solo.config.load import load_config
from solo.errors import UserError
from solo.export.conversion import convert
from tests.yolox.conftest import d2_names, make_yolox, make_yolox_cfg, official_names
from tests.zoo_server import COCO_NAMES, publish

# What each code writes around its weights, and under which names.
FILES = {
    "official": lambda weights: {
        "start_epoch": 300,
        "model": official_names(weights),
        "optimizer": {"state": {}, "param_groups": []},
        "best_ap": 0.405,
    },
    "mmdet": lambda weights: {
        "meta": {"epoch": 300, "dataset_meta": {"CLASSES": ("a", "b", "c")}},
        "state_dict": to_mmdet(weights),
    },
    "yolov7_d2": lambda weights: {
        "model": {**d2_names(weights), "pixel_mean": torch.zeros(3, 1, 1)},
        "iteration": 229_999,
    },
    "ours": lambda weights: {"model": weights},
}


def assert_equal(weights, expected):
    assert weights.keys() == expected.keys()
    for key, value in expected.items():
        assert is_counter(key) or torch.equal(weights[key], value), key


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("code", FILES)
def test_a_file_loads_as_it_is(code, depthwise, tmp_path):
    expected = make_yolox(seed=1, DEPTHWISE=depthwise).state_dict()
    path = tmp_path / "latest.pth"
    write_checkpoint(FILES[code](expected), path)
    model = make_yolox(DEPTHWISE=depthwise)
    SOLOCheckpointer(model, complete=True).load(str(path))
    assert_equal(model.state_dict(), expected)


def test_a_file_of_another_size_is_refused(tmp_path):
    path = tmp_path / "latest.pth"
    write_checkpoint(FILES["official"](make_yolox(DEPTH=1.0).state_dict()), path)
    with pytest.raises(UserError, match="of another model"):
        SOLOCheckpointer(make_yolox(), complete=True).load(str(path))


def test_older_official_weights_want_other_images_and_only_their_owner_can_say_so(tmp_path):
    old, new = tmp_path / "yolox_s.pth", tmp_path / "converted.pth"
    weights = make_yolox(seed=1).state_dict()
    write_checkpoint(FILES["official"](weights), old)
    cfg = make_yolox_cfg()
    cfg.INPUT.FORMAT = "RGB"
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    model = build_model(cfg)
    with pytest.raises(UserError, match=r"Set INPUT\.FORMAT BGR .*--trained-otherwise"):
        SOLOCheckpointer(model, complete=True).load(str(old))
    convert(old, new, as_published=False)
    SOLOCheckpointer(model, complete=True).load(str(new))
    assert_equal(model.state_dict(), weights)


def test_conversion_says_what_it_found(tmp_path):
    weights = make_yolox().state_dict()
    for code in ("official", "yolov7_d2"):
        source, target = tmp_path / f"{code}.pth", tmp_path / "mmdet.pth"
        write_checkpoint(FILES[code](weights), source)
        told = convert(source, target, to="mmdet")
        matched = sum(not is_counter(key) for key in weights)
        assert f"YOLOX checkpoint: {matched} matched" in told and "INPUT.FORMAT BGR" in told
        assert recognise(read_checkpoint(target)) is Lineage.MMDET_YOLOX
        assert_equal(to_mmdet(weights), read_checkpoint(target)["state_dict"])


def test_a_yolox_on_another_backbone_has_no_names_at_mmdetection():
    with pytest.raises(UserError, match=r"no counterpart of backbone\.bottom_up\.stem"):
        to_mmdet({**make_yolox().state_dict(), "backbone.bottom_up.stem.weight": torch.ones(1)})


def test_a_published_one_by_its_name(empty_zoo, monkeypatch):
    name = "coco/yolox_nano"
    torch.manual_seed(2)
    expected = build_model(load_config(name, device="cpu")).state_dict()
    content = FILES["official"](expected)
    monkeypatch.setitem(PUBLISHED, name, publish(empty_zoo.folder, name, content))
    model = model_zoo.get(name, trained=True, device="cpu")
    assert_equal(model.state_dict(), expected)
    assert empty_zoo.paths == ["/yolox_nano.pth"]
    kept = read_checkpoint(model_zoo.download(name))
    assert kept["class_names"] == COCO_NAMES
    assert kept["preprocessing"] == {
        "input_format": "BGR",
        "pixel_mean": [0.0, 0.0, 0.0],
        "pixel_std": [1.0, 1.0, 1.0],
    }
