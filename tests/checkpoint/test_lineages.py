"""Every lineage is recognised, becomes ours, and loads; what does not fit stops with a way out."""

import logging

import pytest
import torch

from solo.checkpoint import SOLOCheckpointer, write_checkpoint
from solo.checkpoint.lineages import Lineage, recognise, to_mmdet, to_solo
from tests.conftest import build

# Names in published files, as docs and code of each lineage give them, and what they are here.
NAMES = {
    Lineage.OFFICIAL: {
        "backbone.conv1.weight": "backbone.bottom_up.stem.conv1.weight",
        "backbone.bn1.running_var": "backbone.bottom_up.stem.conv1.norm.running_var",
        "backbone.layer1.0.downsample.0.weight": "backbone.bottom_up.res2.0.shortcut.weight",
        "backbone.layer4.2.downsample.1.bias": "backbone.bottom_up.res5.2.shortcut.norm.bias",
        "backbone.layer3.1.bn3.weight": "backbone.bottom_up.res4.1.conv3.norm.weight",
        "backbone.layer2.0.conv2.conv_offset.bias": "backbone.bottom_up.res3.0.conv2_offset.bias",
        "neck.lateral_convs.3.conv.bias": "backbone.fpn_lateral5.bias",
        "neck.fpn_convs.0.conv.weight": "backbone.fpn_output2.weight",
        "bbox_head.cate_convs.3.conv.weight": "head.category_tower.3.weight",
        "bbox_head.cate_convs.3.conv.conv_offset.weight": "head.category_tower.3.offset.weight",
        "bbox_head.cate_convs.3.gn.bias": "head.category_tower.3.norm.bias",
        "bbox_head.ins_convs.6.gn.weight": "head.mask_tower.6.norm.weight",
        "bbox_head.ins_convs_x.0.conv.weight": "head.mask_tower_x.0.weight",
        "bbox_head.ins_convs_y.0.conv.weight": "head.mask_tower_y.0.weight",
        "bbox_head.kernel_convs.1.conv.weight": "head.kernel_tower.1.weight",
        "bbox_head.solo_cate.bias": "head.category_predictor.bias",
        "bbox_head.solo_kernel.weight": "head.kernel_predictor.weight",
        "bbox_head.solo_ins_list.4.weight": "head.mask_predictors.4.weight",
        "bbox_head.dsolo_ins_list_x.2.weight": "head.mask_predictors_x.2.weight",
        "bbox_head.dsolo_ins_list_y.2.bias": "head.mask_predictors_y.2.bias",
        "mask_feat_head.convs_all_levels.3.conv2.gn.bias": "head.mask_feature.levels.3.2.norm.bias",
        "mask_feat_head.conv_pred.0.conv.weight": "head.mask_feature.predictor.weight",
        "mask_feat_head.conv_pred.0.gn.weight": "head.mask_feature.predictor.norm.weight",
    },
    Lineage.MMDET: {
        "mask_head.cls_convs.0.gn.weight": "head.category_tower.0.norm.weight",
        "mask_head.mask_convs_y.5.conv.weight": "head.mask_tower_y.5.weight",
        "mask_head.kernel_convs.2.conv.conv_offset.bias": "head.kernel_tower.2.offset.bias",
        "mask_head.conv_cls.weight": "head.category_predictor.weight",
        "mask_head.conv_kernel.bias": "head.kernel_predictor.bias",
        "mask_head.conv_mask_list.0.bias": "head.mask_predictors.0.bias",
        "mask_head.conv_mask_list_x.1.bias": "head.mask_predictors_x.1.bias",
        "mask_head.mask_feature_head.convs_all_levels.0.conv0.conv.weight": (
            "head.mask_feature.levels.0.0.weight"
        ),
        "mask_head.mask_feature_head.conv_pred.conv.conv_offset.weight": (
            "head.mask_feature.predictor.offset.weight"
        ),
        "mask_head.mask_feature_head.conv_pred.gn.bias": "head.mask_feature.predictor.norm.bias",
    },
    Lineage.ADELAIDET: {
        "backbone.bottom_up.res5.2.conv1.norm.bias": "backbone.bottom_up.res5.2.conv1.norm.bias",
        "backbone.fpn_lateral3.weight": "backbone.fpn_lateral3.weight",
        "ins_head.cate_tower.0.weight": "head.category_tower.0.weight",
        "ins_head.cate_tower.3.weight": "head.category_tower.1.weight",
        "ins_head.cate_tower.10.bias": "head.category_tower.3.norm.bias",
        "ins_head.kernel_tower.1.weight": "head.kernel_tower.0.norm.weight",
        "ins_head.cate_pred.bias": "head.category_predictor.bias",
        "ins_head.kernel_pred.weight": "head.kernel_predictor.weight",
        "mask_head.convs_all_levels.2.conv1.0.weight": "head.mask_feature.levels.2.1.weight",
        "mask_head.convs_all_levels.3.conv0.1.bias": "head.mask_feature.levels.3.0.norm.bias",
        "mask_head.conv_pred.0.weight": "head.mask_feature.predictor.weight",
        "mask_head.conv_pred.1.weight": "head.mask_feature.predictor.norm.weight",
    },
    Lineage.TORCHVISION: {
        "conv1.weight": "backbone.bottom_up.stem.conv1.weight",
        "bn1.running_mean": "backbone.bottom_up.stem.conv1.norm.running_mean",
        "layer1.0.conv1.weight": "backbone.bottom_up.res2.0.conv1.weight",
        "layer1.0.bn2.bias": "backbone.bottom_up.res2.0.conv2.norm.bias",
        "layer4.1.conv3.weight": "backbone.bottom_up.res5.1.conv3.weight",
        "layer2.0.downsample.0.weight": "backbone.bottom_up.res3.0.shortcut.weight",
        "layer2.0.downsample.1.running_var": "backbone.bottom_up.res3.0.shortcut.norm.running_var",
    },
    Lineage.YOLOX: {
        "backbone.backbone.stem.conv.conv.weight": "backbone.stem.weight",
        "backbone.backbone.stem.conv.bn.running_mean": "backbone.stem.norm.running_mean",
        "backbone.backbone.dark2.0.conv.weight": "backbone.dark2.0.weight",
        "backbone.backbone.dark3.0.dconv.bn.bias": "backbone.dark3.0.depthwise.norm.bias",
        "backbone.backbone.dark3.1.conv1.conv.weight": "backbone.dark3.1.main.weight",
        "backbone.backbone.dark3.1.conv2.bn.weight": "backbone.dark3.1.short.norm.weight",
        "backbone.backbone.dark4.1.conv3.conv.weight": "backbone.dark4.1.final.weight",
        "backbone.backbone.dark4.1.m.2.conv1.conv.weight": "backbone.dark4.1.blocks.2.conv1.weight",
        "backbone.backbone.dark5.1.conv2.conv.weight": "backbone.dark5.1.conv2.weight",
        "backbone.backbone.dark5.2.m.0.conv2.pconv.conv.weight": (
            "backbone.dark5.2.blocks.0.conv2.pointwise.weight"
        ),
        "backbone.lateral_conv0.conv.weight": "neck.reduce.0.weight",
        "backbone.reduce_conv1.bn.bias": "neck.reduce.1.norm.bias",
        "backbone.C3_p4.conv1.conv.weight": "neck.top_down.0.main.weight",
        "backbone.C3_p3.m.0.conv2.conv.weight": "neck.top_down.1.blocks.0.conv2.weight",
        "backbone.bu_conv2.conv.weight": "neck.downsample.0.weight",
        "backbone.bu_conv1.conv.weight": "neck.downsample.1.weight",
        "backbone.C3_n3.conv2.conv.weight": "neck.bottom_up.0.short.weight",
        "backbone.C3_n4.conv3.bn.running_var": "neck.bottom_up.1.final.norm.running_var",
        "head.stems.2.conv.weight": "head.stems.2.weight",
        "head.cls_convs.0.1.conv.weight": "head.category_towers.0.1.weight",
        "head.reg_convs.1.0.pconv.bn.weight": "head.box_towers.1.0.pointwise.norm.weight",
        "head.cls_preds.0.bias": "head.category_predictors.0.bias",
        "head.reg_preds.1.weight": "head.box_predictors.1.weight",
        "head.obj_preds.2.weight": "head.objectness_predictors.2.weight",
        # yolov7_d2's, where they differ.
        "backbone.stem.conv.bn.weight": "backbone.stem.norm.weight",
        "backbone.dark2.1.conv1.conv.weight": "backbone.dark2.1.main.weight",
        "neck.lateral_conv0.bn.weight": "neck.reduce.0.norm.weight",
        "neck.C3_p4.m.0.conv1.conv.weight": "neck.top_down.0.blocks.0.conv1.weight",
        "neck.bu_conv2.bn.bias": "neck.downsample.0.norm.bias",
        "neck.C3_n4.conv1.conv.weight": "neck.bottom_up.1.main.weight",
    },
    Lineage.MMDET_YOLOX: {
        "backbone.stem.conv.conv.weight": "backbone.stem.weight",
        "backbone.stage1.0.depthwise_conv.conv.weight": "backbone.dark2.0.depthwise.weight",
        "backbone.stage4.1.conv1.bn.bias": "backbone.dark5.1.conv1.norm.bias",
        "backbone.stage4.2.short_conv.conv.weight": "backbone.dark5.2.short.weight",
        "neck.reduce_layers.1.conv.weight": "neck.reduce.1.weight",
        "neck.top_down_blocks.0.main_conv.conv.weight": "neck.top_down.0.main.weight",
        "neck.downsamples.1.pointwise_conv.bn.weight": "neck.downsample.1.pointwise.norm.weight",
        "neck.bottom_up_blocks.1.blocks.0.conv2.conv.weight": (
            "neck.bottom_up.1.blocks.0.conv2.weight"
        ),
        "neck.out_convs.2.bn.running_mean": "head.stems.2.norm.running_mean",
        "bbox_head.multi_level_cls_convs.0.1.conv.weight": "head.category_towers.0.1.weight",
        "bbox_head.multi_level_reg_convs.2.0.bn.bias": "head.box_towers.2.0.norm.bias",
        "bbox_head.multi_level_conv_cls.0.weight": "head.category_predictors.0.weight",
        "bbox_head.multi_level_conv_reg.1.bias": "head.box_predictors.1.bias",
        "bbox_head.multi_level_conv_obj.2.bias": "head.objectness_predictors.2.bias",
    },
}


@pytest.mark.parametrize("lineage", NAMES)
def test_names(lineage):
    names = NAMES[lineage]
    content = {key: torch.tensor(float(i)) for i, key in enumerate(names)}
    assert recognise(content) is lineage
    converted = to_solo(content)
    assert list(converted.weights) == list(names.values())
    assert [value.item() for value in converted.weights.values()] == list(range(len(names)))
    assert converted.dropped == ()


@pytest.mark.parametrize("name", ["state_dict", "model"])
def test_what_is_no_weight_of_the_model_is_dropped_and_counted(name):
    weights = {
        "module.bbox_head.solo_cate.weight": torch.ones(2),
        "module.backbone.bn1.num_batches_tracked": torch.tensor(7),
        "module.backbone.fc.weight": torch.ones(1),
        "module.neck.fpn_convs.4.conv.weight": torch.ones(1),
    }
    converted = to_solo({name: weights, "meta": {"epoch": 12}, "optimizer": {}})
    assert list(converted.weights) == ["head.category_predictor.weight"]
    assert sorted(converted.dropped) == [
        "backbone.bn1.num_batches_tracked",
        "backbone.fc.weight",
        "meta",
        "neck.fpn_convs.4.conv.weight",
        "optimizer",
    ]


def test_other_models_are_not_taken_for_ours():
    retinanet = {"bbox_head.cls_convs.0.conv.weight": torch.ones(1)}
    mask_rcnn = {"roi_heads.mask_head.predictor.weight": torch.ones(1)}
    backbone = {"backbone.bottom_up.stem.conv1.weight": torch.ones(1), "layer1.0": torch.ones(1)}
    for content in (retinanet, mask_rcnn, backbone, {}):
        assert recognise(content) is None
        with pytest.raises(ValueError, match="layout is not known"):
            to_solo(content)


def test_two_tensors_with_one_name_are_refused():
    content = {
        "mask_head.conv_cls.weight": torch.ones(1),
        "head.category_predictor.weight": torch.ones(1),
    }
    mixed = {key: content[key] for key in reversed(content)}
    assert recognise(mixed) is Lineage.SOLO
    twice = {
        "bbox_head.solo_cate.weight": torch.ones(1),
        "bbox_head.dsolo_cate.weight": torch.ones(1),
    }
    with pytest.raises(ValueError, match=r"would be called head\.category_predictor\.weight"):
        to_solo(twice)


def test_round_trip_through_the_layout_of_mmdet(cfg, tmp_path):
    model, other = build(cfg, seed=0), build(cfg, seed=1)
    exported = to_mmdet(model.state_dict())
    assert not any(key.startswith(("head.", "backbone.bottom_up.")) for key in exported)
    path = tmp_path / "epoch_12.pth"
    write_checkpoint({"state_dict": exported, "meta": {"epoch": 12}}, path)

    SOLOCheckpointer(other, complete=True).load(str(path))

    for key, value in other.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, model.state_dict()[key]), key
    again = to_mmdet(other.state_dict())
    assert again.keys() == exported.keys()


def test_weights_that_mmdet_has_no_name_for_are_refused():
    with pytest.raises(ValueError, match=r"no counterpart of head\.boundary\.weight"):
        to_mmdet({"head.boundary.weight": torch.ones(1)})


def test_a_foreign_file_that_lacks_a_tensor_stops(cfg, tmp_path):
    model = build(cfg)
    exported = to_mmdet(model.state_dict())
    del exported["mask_head.conv_cls.bias"]
    path = tmp_path / "epoch_12.pth"
    write_checkpoint({"state_dict": exported}, path)
    with pytest.raises(ValueError, match=r"(?s)1 missing.*missing: head\.category_predictor\.bias"):
        SOLOCheckpointer(build(cfg, seed=1)).load(str(path))


def test_a_foreign_file_with_parts_that_the_model_lacks_stops(cfg, tmp_path):
    cfg.MODEL.SOLO.NUM_CONVS = 2
    path = tmp_path / "epoch_12.pth"
    write_checkpoint({"state_dict": to_mmdet(build(cfg).state_dict())}, path)
    cfg.MODEL.SOLO.NUM_CONVS = 1
    with pytest.raises(ValueError, match=r"(?s)of another model.*unexpected: head\.\w+_tower"):
        SOLOCheckpointer(build(cfg)).load(str(path))


def test_loading_reports_what_matched(cfg, tmp_path, caplog):
    path = tmp_path / "epoch_12.pth"
    model = build(cfg)
    exported = to_mmdet(model.state_dict())
    exported["mask_head.extra"] = torch.ones(1)
    write_checkpoint({"state_dict": exported}, path)
    checkpointer = SOLOCheckpointer(model)
    checkpointer.logger = logging.getLogger("test_lineages")
    with caplog.at_level(logging.INFO, logger="test_lineages"):
        checkpointer.load(str(path))
    matched = sum(not key.endswith("num_batches_tracked") for key in model.state_dict())
    assert f"mmdet checkpoint: {matched} matched, 0 missing, 1 unexpected" in caplog.text
    assert "unexpected: head.extra" in caplog.text


# As mmengine writes it, and as the official code does: the text of the file after its name.
CONFIGS = [
    (
        "cfg",
        "model = dict(\n    mask_head=dict(\n        cls_down_index={},\n        num_classes=80))\n",
    ),
    (
        "config",
        "/configs/solo.py\n# cate_down_pos=7\nbbox_head=dict(\n    cate_down_pos = {}, # why\n)",
    ),
]


@pytest.mark.parametrize(("key", "text"), CONFIGS, ids=["mmengine", "official"])
@pytest.mark.parametrize("name", ["mask_head.conv_cls.weight", "bbox_head.dsolo_cate.weight"])
def test_a_head_that_resizes_amid_its_tower_is_refused(key, text, name):
    weights = {name: torch.ones(1)}
    for other in (1, 3, -1):
        with pytest.raises(ValueError, match=rf"(cls_down_index|cate_down_pos) = {other}, which"):
            to_solo({"state_dict": weights, "meta": {key: text.format(other)}})
    published = {"state_dict": weights, "meta": {key: text.format(0)}}
    assert list(to_solo(published).weights) == ["head.category_predictor.weight"]
    # SOLOv2 does not read the key.
    weights["mask_head.kernel_convs.0.conv.weight"] = torch.ones(1)
    assert to_solo({"state_dict": weights, "meta": {key: text.format(1)}}).weights


def test_a_refused_head_is_refused_as_a_file_is_loaded(cfg, tmp_path):
    path = tmp_path / "epoch_12.pth"
    weights = {"mask_head.conv_cls.weight": torch.ones(1)}
    write_checkpoint({"state_dict": weights, "meta": {"cfg": "cls_down_index=2"}}, path)
    with pytest.raises(ValueError, match="cls_down_index = 2"):
        SOLOCheckpointer(build(cfg)).load(str(path))
