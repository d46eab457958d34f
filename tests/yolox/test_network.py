"""The network of YOLOX where no other code says what is right: shapes, letterbox, fusing, classes, faults."""

import pytest
import torch
from detectron2.layers import Conv2d
from detectron2.modeling import build_model

from solo.errors import UserError
from solo.modeling.fuse import fuse_batch_norm, prepare_for_inference
from solo.yolox.blocks import Units, space_to_channels
from solo.yolox.detect import Candidates, Detector
from solo.yolox.head import decode, grid_points
from solo.yolox.neck import PAFPN
from tests.yolox.conftest import make_yolox, make_yolox_cfg


def image(height, width, seed=0):
    return 255 * torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_space_to_channels_by_hand():
    images = torch.tensor([[[[1, 2], [3, 4]]]])
    assert space_to_channels(images).flatten().tolist() == [1, 3, 2, 4]


def test_points_and_boxes_by_hand():
    points, strides = grid_points([(1, 2), (1, 1)], [8, 16], torch.device("cpu"))
    assert points.tolist() == [[0, 0], [8, 0], [0, 0]]
    assert strides.tolist() == [8, 8, 16]
    raw = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.25, 1.0, 0.0, 0.6931472], [0.0, 0.0, 0.0, 0.0]])
    expected = [[0, 0, 8, 8], [6, 0, 14, 16], [-8, -8, 8, 8]]
    torch.testing.assert_close(decode(raw, points, strides), torch.tensor(expected).float())


def test_images_are_padded_to_a_square_at_the_right_and_the_bottom():
    model = make_yolox()
    images = [image(40, 70), image(64, 33)]
    batch = model.preprocess([{"image": one} for one in images])
    assert batch.tensor.shape == (2, 3, 96, 96)
    assert batch.image_sizes == [(40, 70), (64, 33)]
    assert torch.equal(batch.tensor[0, :, :40, :70], images[0])
    assert (batch.tensor[0, :, 40:] == 114).all() and (batch.tensor[0, :, :, 70:] == 114).all()
    shallow = make_yolox(SQUARE=False).preprocess([{"image": one} for one in images])
    assert shallow.tensor.shape == (2, 3, 64, 96)


def test_padding_is_normalised_as_the_pixels_are():
    # As the older official weights want it.
    cfg = make_yolox_cfg()
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [14.0, 24.0, 34.0], [10.0, 10.0, 10.0]
    batch = build_model(cfg).preprocess([{"image": image(32, 64)}])
    assert batch.tensor[0, :, 40, 40].tolist() == pytest.approx([10, 9, 8])


@torch.no_grad()
def test_boxes_come_at_the_size_of_the_output_and_inside_it():
    model = make_yolox()
    item = {"image": image(64, 48)}
    (small,), (large,) = model([item]), model([{**item, "height": 128, "width": 96}])
    small, large = small["instances"], large["instances"]
    assert large.image_size == (128, 96) and len(large) == len(small) > 5
    torch.testing.assert_close(large.pred_boxes.tensor, 2 * small.pred_boxes.tensor)
    assert (small.scores.diff() <= 0).all()
    left, top, right, bottom = small.pred_boxes.tensor.unbind(1)
    assert left.min() >= 0 and top.min() >= 0 and right.max() <= 48 and bottom.max() <= 64


@torch.no_grad()
def test_an_image_gets_in_a_batch_what_it_gets_alone():
    model = make_yolox()
    items = [{"image": image(64, 40, seed=seed)} for seed in (1, 2)]
    together = model(items)
    for item, found in zip(items, together, strict=True):
        alone = model([item])[0]["instances"]
        torch.testing.assert_close(found["instances"].scores, alone.scores)


def test_suppression_by_class_by_threshold_and_by_number():
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]]).float()
    candidates = Candidates(boxes, torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([0, 0, 1, 0]))

    def kept(**settings):
        rule = {"score_thresh": 0.1, "nms_thresh": 0.65, "class_agnostic": False, **settings}
        return Detector(**{"max_detections": 9, **rule}).suppress(candidates).scores.tolist()

    assert kept() == pytest.approx([0.9, 0.7, 0.1])
    assert kept(class_agnostic=True) == pytest.approx([0.9, 0.1])
    assert kept(nms_thresh=0.95) == pytest.approx([0.9, 0.8, 0.7, 0.1])
    assert kept(score_thresh=0.5) == pytest.approx([0.9, 0.7])
    assert kept(max_detections=1) == pytest.approx([0.9])
    assert kept(score_thresh=0.95) == []
    # What overflows is no box, and moves no other.
    candidates.boxes[0, 2] = torch.inf
    assert kept() == pytest.approx([0.8, 0.7, 0.1])


@torch.no_grad()
@pytest.mark.parametrize("depthwise", [False, True])
def test_fusing_changes_nothing_but_rounding(depthwise):
    model = make_yolox(DEPTHWISE=depthwise)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            assert (module.eps, module.momentum) == (1e-3, 0.03)
    images = image(64, 64)[None] / 255
    expected = model.run_network(images)
    fuse_batch_norm(model)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in model.modules())
    for actual, before in zip(model.run_network(images), expected, strict=True):
        torch.testing.assert_close(actual, before, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_channels_last_changes_nothing_but_rounding():
    cfg = make_yolox_cfg()
    model, images = make_yolox(), image(64, 64)[None] / 255
    expected = model.run_network(images)
    cfg.MODEL.MEMORY_FORMAT = "channels_last"
    prepare_for_inference(model, cfg)
    kernel = model.backbone.stem.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    for actual, before in zip(model.run_network(images), expected, strict=True):
        torch.testing.assert_close(actual, before, rtol=1e-4, atol=1e-5)


def test_an_untrained_model_finds_an_object_anywhere_with_one_percent():
    model = make_yolox()
    for predictor in (*model.head.objectness_predictors, *model.head.category_predictors):
        torch.testing.assert_close(predictor.bias.sigmoid(), torch.full_like(predictor.bias, 0.01))
    rows = {parameter.shape[0] for parameter in model.category_parameters}
    assert rows == {3} and len(model.category_parameters) == 6


def test_words_of_the_activation_and_a_norm_are_heard():
    model = make_yolox(ACTIVATION="relu", NORM="")
    units = [module for module in model.modules() if isinstance(module, Conv2d)]
    assert {type(unit.activation) for unit in units} == {torch.nn.ReLU}
    assert all(unit.norm is None and unit.bias is not None for unit in units)


def test_a_neck_takes_features_of_any_channels_and_may_pool_first():
    channels, unit = (6, 10, 14), Units()
    features = [torch.rand(1, c, side, side) for c, side in zip(channels, (8, 4, 2), strict=True)]
    for spp in (False, True):
        neck = PAFPN(channels, depth=2, unit=unit, spp=spp)
        assert [out.shape for out in neck(features)] == [feature.shape for feature in features]
        assert any("spp" in name for name, _ in neck.named_parameters()) is spp


def test_other_backbones_have_other_features():
    cfg = make_yolox_cfg(IN_FEATURES=["res3", "res4", "res5"], SPP=True)
    cfg.MODEL.BACKBONE.NAME = "build_resnet_backbone"
    cfg.MODEL.RESNETS.DEPTH, cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 18, 64
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res2", "res3", "res4", "res5"]
    model = build_model(cfg).eval()
    assert model.has_unread_features and model.divisor == 32
    with torch.no_grad():
        assert len(model([{"image": image(64, 64)}])[0]["instances"])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["dark3", "dark9"], "dark9'; CSPDarknet has dark2, dark3, dark4, dark5"),
        (["dark3", "dark4"], r"strides \[8, 16\]; give three"),
        (["dark2", "dark4", "dark5"], r"strides \[4, 16, 32\]; give three"),
    ],
)
def test_features_that_do_not_go_together_are_told(names, told):
    with pytest.raises(UserError, match=told):
        build_model(make_yolox_cfg(IN_FEATURES=names))
