"""Numbers of AdelaiDet @ 3672122: its names for the weights, and the instances it finds with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from solo.checkpoint.lineages import Lineage, to_solo
from solo.modeling.postprocessing import ImageSize
from tests.conftest import build, make_cfg

GOLDEN = Path(__file__).parents[1] / "golden" / "adelaidet_solov2.npz"


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def info(arrays):
    return json.loads(str(arrays["info"]))


@pytest.fixture(scope="module")
def tensors(arrays, info):
    """Weights by AdelaiDet's names and features p2 to p6, float16 whose bytes are stored apart."""
    both = np.stack([arrays["low_bytes"], arrays["high_bytes"]], axis=1)
    values = torch.from_numpy(both.reshape(-1).view("<f2").astype(np.float32))
    shapes = info["shapes"]
    parts = values.split([int(np.prod(shape)) for shape in shapes.values()])
    return {key: part.view(shapes[key]) for key, part in zip(shapes, parts, strict=True)}


def build_model(info):
    cfg = make_cfg("SOLOv2")
    cfg.MODEL.FPN.OUT_CHANNELS = info["in_channels"]
    cfg.TEST.DETECTIONS_PER_IMAGE = info["test_cfg"]["max_per_img"]
    node = cfg.MODEL.SOLO
    node.NUM_CLASSES = info["num_classes"]
    node.NUM_CONVS = info["stacked_convs"]
    node.CONV_DIM = info["seg_feat_channels"]
    node.NUM_GRIDS = info["num_grids"]
    node.MASK_FEATURE.CONV_DIM = info["mask_feat_mid"]
    node.MASK_FEATURE.DIM = info["mask_channels_out"]
    node.TEST.PRE_NMS_TOPK = info["test_cfg"]["nms_pre"]
    return build(cfg)


@torch.no_grad()
def test_detections(arrays, info, tensors):
    features = {key: value for key, value in tensors.items() if key[0] == "p"}
    converted = to_solo({key: tensors[key] for key in tensors.keys() - features.keys()})
    assert converted.lineage is Lineage.ADELAIDET
    model = build_model(info)
    missing, unexpected = model.load_state_dict(converted.weights, strict=False)
    assert not unexpected
    assert all(key.startswith("backbone.") for key in missing)

    size = ImageSize(*(tuple(info[key]) for key in ("pad_shape", "img_shape", "ori_shape")))
    (instances,) = model.find(model.head(features), [size])

    scores = torch.from_numpy(arrays["scores"])
    torch.testing.assert_close(instances.scores, scores, atol=1e-4, rtol=1e-4)
    assert torch.equal(instances.pred_classes, torch.from_numpy(arrays["labels"]).long())
    masks = np.unpackbits(arrays["masks"], axis=-1)[..., : size.original[1]]
    differing = (instances.pred_masks != torch.from_numpy(masks).bool()).sum()
    assert differing <= masks.size // 100_000
