"""A whole SOLOv2-R50-FPN: numbers of the official code, with weights and an image given by formulas.

tests/golden/full_solov2_r50.json lists the tensors of the official model; their values are drawn from
generators that their names seed.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from pycocotools import mask as coco_mask

from solo.checkpoint.lineages import Lineage, to_solo
from solo.config import get_cfg

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "full_solov2_r50.json").read_text())
INTERMEDIATES = GOLDEN["intermediates"]
CONFIG = ROOT / "configs" / "coco" / "solov2_R_50_FPN_1x.yaml"


def weight(key, shape):
    """Draw a tensor of the official model."""
    if key == "bbox_head.solo_cate.bias":
        return np.full(shape, GOLDEN["cate_bias"], np.float32)
    if len(shape) < 4:
        ones = key.endswith(("running_var", "weight"))
        return np.full(shape, 0.3 if key.endswith(".bn3.weight") else float(ones), np.float32)
    fan_in = shape[1] * shape[2] * shape[3]
    std = math.sqrt((1 if key.startswith("neck.") else 2) / fan_in)
    std *= {"bbox_head.solo_cate.weight": 1.5, "bbox_head.solo_kernel.weight": 0.35}.get(key, 1)
    seed = (zlib.crc32(key.encode()) ^ GOLDEN["salt"]) & 0xFFFFFFFF
    return (np.random.RandomState(seed).standard_normal(shape) * std).astype(np.float32)


def image():
    """Draw the image: (h, w, 3) uint8, BGR."""
    height, width = GOLDEN["img_shape"]
    p = GOLDEN["image_p"]
    y, x, c = np.meshgrid(
        *(np.arange(n, dtype=np.float64) for n in (height, width, 3)), indexing="ij"
    )
    waves = np.sin(2 * np.pi * (x * (3 + p) / width + c / 3))
    value = 127.5 + 60 * waves * np.cos(2 * np.pi * (y * (2 + p) / height - c / 5))
    stripes = np.sign(np.sin(2 * np.pi * (x / 37 + y / 53) + c))
    center = (x - 0.6 * width) ** 2 + (y - 0.4 * height) ** 2
    value += 50 * stripes * (center < (0.3 * min(height, width)) ** 2)
    value += (7919 * x + 104729 * y + 1299709 * c) % 31 - 15
    return np.clip(np.floor(value), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    weights = {
        key: torch.from_numpy(weight(key, shape)) for key, shape in GOLDEN["key_shapes"].items()
    }
    for key, crc in GOLDEN["weights_crc32_first_bytes"].items():
        assert zlib.crc32(weights[key].numpy().tobytes()) == crc, key
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIG))
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg).eval()
    converted = to_solo({"state_dict": weights, "meta": {}})
    assert converted.lineage is Lineage.OFFICIAL
    model.load_state_dict(converted.weights)  # strict: nothing is missing, nothing is left
    return model


@pytest.fixture(scope="module")
def item():
    bgr = image()
    assert zlib.crc32(bgr.tobytes()) == GOLDEN["image_crc32"]
    rgb = torch.from_numpy(bgr[:, :, ::-1].transpose(2, 0, 1).copy())
    height, width = GOLDEN["ori_shape"]
    return {"image": rgb, "height": height, "width": width}


@pytest.fixture(scope="module")
def features(model, item):
    with torch.no_grad():
        images = model.preprocess([item])
        assert list(images.tensor.shape[-2:]) == GOLDEN["pad_shape"]
        return model.backbone(images.tensor)


@pytest.fixture(scope="module")
def outputs(model, features):
    with torch.no_grad():
        return model.head(features)


def check(actual, expected, sample):
    assert list(actual.shape) == expected["shape"]
    values = expected.get("sample", expected.get("sample_0_0"))
    close(sample, torch.tensor(values))
    close(actual.mean(), torch.tensor(expected["mean"]))
    close(actual.std(), torch.tensor(expected["std"]))


def close(actual, expected):
    # Samples near zero have an absolute error of the float32 sums behind them.
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


def test_pyramid(features):
    for level, expected in enumerate(INTERMEDIATES["fpn"]):
        feature = features[f"p{level + 2}"]
        check(feature, expected, feature[0, 0, 0, :8])


def test_head(model, outputs):
    for level, expected in enumerate(INTERMEDIATES["cate_logits"]):
        logits = outputs.category_logits[level]
        check(logits, expected, logits[0, :4, 3, 5])
    offsets = model.head.grids.offsets
    for level, expected in enumerate(INTERMEDIATES["kernel"]):
        kernels = torch.stack(outputs.masks.kernels)[:, offsets[level] : offsets[level + 1]]
        kernels = kernels.mT.unflatten(2, expected["shape"][2:])
        check(kernels, expected, kernels[0, :4, 3, 5])
    feature = torch.stack(outputs.masks.feature)
    check(feature, INTERMEDIATES["mask_feat"], feature[0, :4, 10, 12])


@torch.no_grad()
def test_instances(model, item):
    (result,) = model([item])
    instances, expected = result["instances"], GOLDEN["top20"]
    assert len(instances) == GOLDEN["n_detections"]
    # Beyond the first 20 the ranks are too close for every order of float32 sums.
    top = instances[:20]
    scores = torch.tensor(expected["scores"])
    torch.testing.assert_close(top.scores, scores, atol=1e-4, rtol=0)
    assert top.pred_classes.tolist() == expected["labels"]
    torch.testing.assert_close(
        top.pred_boxes.tensor, torch.tensor(expected["boxes"], dtype=torch.float32), atol=1, rtol=0
    )
    masks = torch.from_numpy(coco_mask.decode(expected["rle"])).permute(2, 0, 1).bool()
    areas = top.pred_masks.sum(dim=(1, 2)).tolist()
    assert areas == pytest.approx(expected["areas"], rel=1e-3, abs=5)
    assert (top.pred_masks != masks).float().mean() <= 1e-5
