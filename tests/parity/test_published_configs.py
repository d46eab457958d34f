"""The 13 models whose weights mmdetection publishes: its own configs beside ours.

Everything that decides what the weights compute is compared; files in the layout of the published ones, of
detectors that mmdetection builds, load; and one detector of each family finds what mmdetection's finds. No
published file has been tried.
"""

from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.layers import FrozenBatchNorm2d
from detectron2.modeling import build_model
from torch import nn

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import CONFIGS, build_mmdet_detector

# isort: split
from mmcv.transforms import Compose
from mmdet.datasets import CocoDataset
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet_oracle import draw_weights
from mmengine.config import Config

from solo import model_zoo
from solo.checkpoint import SOLOCheckpointer
from solo.checkpoint.comparison import is_counter
from solo.checkpoint.lineages import Lineage, expected_preprocessing, to_mmdet, to_solo
from solo.checkpoint.preprocessing import Preprocessing
from solo.checkpoint.rules import OFFICIAL, rename
from solo.data.augmentation.build import build_test_resize
from solo.images import read_image

PUBLISHED = {
    "solo_R_50_FPN_1x": "solo/solo_r50_fpn_1x_coco.py",
    "solo_R_50_FPN_3x": "solo/solo_r50_fpn_3x_coco.py",
    "decoupled_solo_R_50_FPN_1x": "solo/decoupled-solo_r50_fpn_1x_coco.py",
    "decoupled_solo_R_50_FPN_3x": "solo/decoupled-solo_r50_fpn_3x_coco.py",
    "decoupled_solo_light_R_50_FPN_3x": "solo/decoupled-solo-light_r50_fpn_3x_coco.py",
    "solov2_R_50_FPN_1x": "solov2/solov2_r50_fpn_1x_coco.py",
    "solov2_R_50_FPN_3x": "solov2/solov2_r50_fpn_ms-3x_coco.py",
    "solov2_R_101_FPN_3x": "solov2/solov2_r101_fpn_ms-3x_coco.py",
    "solov2_dcn_R_101_FPN_3x": "solov2/solov2_r101-dcn_fpn_ms-3x_coco.py",
    "solov2_dcn_X_101_64x4d_FPN_3x": "solov2/solov2_x101-dcn_fpn_ms-3x_coco.py",
    "solov2_light_448_R_18_FPN_3x": "solov2/solov2-light_r18_fpn_ms-3x_coco.py",
    "solov2_light_448_R_34_FPN_3x": "solov2/solov2-light_r34_fpn_ms-3x_coco.py",
    "solov2_light_448_R_50_FPN_3x": "solov2/solov2-light_r50_fpn_ms-3x_coco.py",
}
# One of each family.
FAMILIES = (
    "solo_R_50_FPN_1x",
    "decoupled_solo_R_50_FPN_1x",
    "decoupled_solo_light_R_50_FPN_3x",
    "solov2_R_50_FPN_1x",
    "solov2_light_448_R_18_FPN_3x",
    "solov2_dcn_X_101_64x4d_FPN_3x",
)
HEADS = {"SOLO": "SOLOHead", "SOLOv2": "SOLOV2Head"}


class Pair(NamedTuple):
    """A published model: mmdetection's config and detector, which has no values; and ours."""

    config: Config
    detector: nn.Module
    cfg: object
    model: nn.Module


@pytest.fixture(scope="module", params=PUBLISHED)
def pair(request):
    with torch.device("meta"):
        detector = build_mmdet_detector(PUBLISHED[request.param])
    cfg = our_config(request.param)
    return Pair(
        Config.fromfile(CONFIGS / PUBLISHED[request.param]), detector, cfg, build_model(cfg)
    )


def our_config(name):
    cfg = model_zoo.get_config(f"coco/{name}.yaml")
    cfg.MODEL.DEVICE = "cpu"
    return cfg


def test_images_are_prepared_alike(pair, tmp_path):
    drawn = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    path = str(tmp_path / "photo.png")
    cv2.imwrite(path, cv2.resize(drawn, (151, 97)))

    steps = pair.config.test_dataloader.dataset.pipeline
    pipeline = Compose([step for step in steps if step.type != "LoadAnnotations"])
    packed = pipeline({"img_path": path, "img_id": 0})
    prepare = MODELS.build(pair.config.model.data_preprocessor)
    theirs = prepare({key: [value] for key, value in packed.items()})["inputs"]

    image = read_image(path, pair.cfg.INPUT.FORMAT)
    resized = build_test_resize(pair.cfg).get_transform(image).apply_image(image)
    item = {"image": torch.as_tensor(resized.transpose(2, 0, 1).copy())}
    ours = pair.model.preprocess([item]).tensor

    assert min(ours.shape[-2:]) == pair.cfg.INPUT.MIN_SIZE_TEST // 32 * 32
    # Pillow resizes here, OpenCV there: enlarged values differ by 1 of 255, a fifth of them.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1 / min(pair.cfg.MODEL.PIXEL_STD) + 1e-4)


def test_the_backbone_is_the_same(pair):
    theirs, node = pair.config.model.backbone, pair.cfg.MODEL.RESNETS
    dcn = theirs.get("dcn") or {}
    assert (theirs.type, theirs.style) == (
        "ResNeXt" if node.NUM_GROUPS > 1 else "ResNet",
        "pytorch",
    )
    assert (theirs.depth, theirs.get("groups", 1)) == (node.DEPTH, node.NUM_GROUPS)
    assert theirs.get("base_width", 64) == node.WIDTH_PER_GROUP
    assert list(theirs.get("stage_with_dcn", [False] * 4)) == node.DEFORM_ON_PER_STAGE
    if dcn:
        assert dcn.deformable_groups == node.DEFORM_NUM_GROUPS
        assert (dcn.type == "DCNv2") == node.DEFORM_MODULATED
        assert not dcn.fallback_on_stride
    assert expected_preprocessing(Lineage.MMDET).stride_in_1x1 == node.STRIDE_IN_1X1 is False
    assert [pair.config.model.backbone.out_indices[k] + 2 for k in range(4)] == [
        int(name.removeprefix("res")) for name in node.OUT_FEATURES
    ]


def test_the_pyramid_is_the_same(pair):
    neck, node = pair.detector.neck, pair.cfg.MODEL.FPN
    levels = pair.model.backbone.output_shape()
    assert (neck.start_level, neck.num_outs) == (0, len(levels))
    assert not neck.add_extra_convs and neck.upsample_cfg == {"mode": "nearest"}
    assert {level.channels for level in levels.values()} == {neck.out_channels}
    assert neck.in_channels == [
        pair.model.backbone.bottom_up.output_shape()[name].channels for name in node.IN_FEATURES
    ]
    assert pair.model.backbone._fuse_type == "sum"


def test_the_head_is_the_same(pair):
    theirs, node = pair.detector.mask_head, pair.cfg.MODEL.SOLO
    name = node.HEAD or HEADS[pair.cfg.MODEL.META_ARCHITECTURE]
    assert type(theirs).__name__ == name
    assert theirs.num_classes == node.NUM_CLASSES == 80
    assert (theirs.stacked_convs, theirs.feat_channels) == (node.NUM_CONVS, node.CONV_DIM)
    assert list(theirs.strides) == node.STRIDES and theirs.num_grids == node.NUM_GRIDS
    assert [list(scales) for scales in theirs.scale_ranges] == node.SCALE_RANGES
    assert (theirs.pos_scale, theirs.cls_down_index) == (node.SIGMA, 0)
    assert theirs.norm_cfg["type"] == node.NORM == "GN"
    deform = "none"
    if dcn := getattr(theirs, "dcn_cfg", None):
        deform = "all" if theirs.dcn_apply_to_all_conv else "last"
        assert (dcn["type"] == "DCNv2") == node.DEFORM_MODULATED
    assert deform == node.DEFORM_CONVS


def test_the_mask_feature_is_the_same(pair):
    theirs = getattr(pair.detector.mask_head, "mask_feature_head", None)
    assert (theirs is not None) == (pair.cfg.MODEL.META_ARCHITECTURE == "SOLOv2")
    if theirs is None:
        return
    node = pair.cfg.MODEL.SOLO.MASK_FEATURE
    levels = range(theirs.start_level, theirs.end_level + 1)
    assert [f"p{level + 2}" for level in levels] == node.IN_FEATURES
    assert (theirs.feat_channels, theirs.out_channels) == (node.CONV_DIM, node.DIM)
    assert (theirs.mask_stride, theirs.norm_cfg["type"]) == (4, node.NORM)
    assert (theirs.conv_cfg is not None) == node.DEFORM
    assert pair.detector.mask_head.dynamic_conv_size == pair.cfg.MODEL.SOLO.KERNEL_SIZE


def test_the_rules_at_test_are_the_same(pair):
    node = pair.cfg.MODEL.SOLO.TEST
    assert (node.NMS, node.CLASS_AGNOSTIC) == ("matrix", False)
    assert pair.config.model.test_cfg == {
        "nms_pre": node.PRE_NMS_TOPK,
        "score_thr": node.SCORE_THRESH,
        "mask_thr": node.MASK_THRESH,
        "filter_thr": node.UPDATE_THRESH,
        "kernel": node.NMS_KERNEL,
        "sigma": node.NMS_SIGMA,
        "max_per_img": pair.cfg.TEST.DETECTIONS_PER_IMAGE,
    }


def test_every_layer_is_the_same(pair):
    """What no shape of a weight shows: strides, paddings, groups, numbers added under roots."""
    theirs = {
        rename(f"{name}.weight", OFFICIAL).removesuffix(".weight"): module
        for name, module in pair.detector.named_modules()
        if hasattr(module, "weight")
    }
    ours = {
        name: module for name, module in pair.model.named_modules() if hasattr(module, "weight")
    }
    assert ours.keys() == theirs.keys()
    for name, module in ours.items():
        assert settings_of(module) == settings_of(theirs[name]), name


def settings_of(module):
    """Return what a convolution or a normalisation is told."""
    if isinstance(module, FrozenBatchNorm2d | nn.BatchNorm2d):
        return ("batch", module.num_features, module.eps)
    if isinstance(module, nn.GroupNorm):
        return ("group", module.num_channels, module.num_groups, module.eps)
    # Of our deformable convolutions; the groups are seen in the shape of the weight.
    geometry = getattr(module, "geometry", {})
    pairs = [
        np.broadcast_to(getattr(module, key, geometry.get(key, default)), 2).tolist()
        for key, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    ]
    return (tuple(module.weight.shape), module.bias is None, *pairs)


# What lies beside the weights: of mmdetection 2.x, and of 3.x.
METAS = {
    "CLASSES": lambda text: {
        "epoch": 12,
        "mmdet_version": "2.25.0",
        "config": text,
        "CLASSES": CocoDataset.METAINFO["classes"],
    },
    "dataset_meta": lambda text: {
        "epoch": 36,
        "mmdet_version": "3.3.0",
        "cfg": text,
        "dataset_meta": CocoDataset.METAINFO,
    },
}


def test_a_file_as_they_are_published_loads_whole(pair, tmp_path):
    shapes = {key: value.shape for key, value in pair.detector.state_dict().items()}
    assert shapes == {key: value.shape for key, value in to_mmdet(pair.model.state_dict()).items()}
    for first, meta in enumerate(METAS.values()):
        # A number for each tensor, in a file that holds it once: its shape comes of strides of 0.
        weights = {
            key: torch.tensor(float(1000 * first + number)).expand(shape)
            for number, (key, shape) in enumerate(shapes.items())
        }
        content = {"meta": meta(pair.config.pretty_text), "state_dict": weights}
        torch.save(content, tmp_path / "published.pth")

        SOLOCheckpointer(pair.model, complete=True).load(str(tmp_path / "published.pth"))

        converted = to_solo(content)
        loaded = {k: v for k, v in pair.model.state_dict().items() if not is_counter(k)}
        assert converted.lineage is Lineage.MMDET and loaded.keys() == converted.weights.keys()
        assert all(is_counter(key) for key in set(converted.dropped) - {"meta"})
        for key, value in loaded.items():
            assert value.unique().tolist() == [converted.weights[key].flatten()[0]], key


def test_the_weights_expect_what_the_config_does(pair):
    expected_preprocessing(Lineage.MMDET).check(Preprocessing.of_config(pair.cfg), "mmdet")


def test_the_classes_have_the_same_names_and_order():
    names = MetadataCatalog.get("coco_2017_val").thing_classes
    assert names == list(CocoDataset.METAINFO["classes"])


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_detections_of_whole_detectors(name, tmp_path):
    detector = build_mmdet_detector(PUBLISHED[name]).eval()
    # Fewer candidates than ours decodes at most.
    draw_weights(detector, torch.Generator().manual_seed(0), category_bias=-4.8)
    path = tmp_path / "published.pth"
    torch.save({"meta": {}, "state_dict": detector.state_dict()}, path)
    cfg = our_config(name)
    # The convolutions of both sides then round alike: on tiny masks a pixel moves the score.
    cfg.MODEL.MEMORY_FORMAT = "contiguous"
    model = build_model(cfg).eval()
    SOLOCheckpointer(model, complete=True).load(str(path))

    image = torch.randint(256, (3, 6, 8), generator=torch.Generator().manual_seed(1)).float()
    image = nn.functional.interpolate(image[None], size=(103, 151), mode="bilinear")[0].byte()
    meta = {"img_shape": (103, 151), "ori_shape": (131, 190)}
    sample = {"inputs": [image.flip(0)], "data_samples": [DetDataSample(metainfo=meta)]}
    theirs = detector.test_step(sample)[0].pred_instances
    ours = model([{"image": image, "height": 131, "width": 190}])[0]["instances"]

    assert 20 <= len(ours) == len(theirs)
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=1e-4, atol=1e-4)
    assert torch.equal(ours.pred_classes, theirs.labels)
    assert (ours.pred_masks != theirs.masks).float().mean() <= 1e-4
