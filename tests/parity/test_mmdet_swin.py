"""Swin of timm as a backbone beside mmdetection's, with the same weights: all stages shift their windows."""

import pytest
import torch
from detectron2.modeling import build_backbone

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")
pytest.importorskip("tests.toy_timm", reason="timm is not installed: pip install timm")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
import mmdet_models  # noqa: F401

# isort: split
from mmdet.models.backbones.swin import SwinTransformer, swin_converter

from tests.modeling.backbones.test_from_timm import timm_cfg


def as_published(key):
    """The name of Microsoft's code: what halves the size closes a stage there, and opens the next in timm."""
    stage, _, rest = key.removeprefix("layers.").partition(".")
    opens = key.startswith("layers.") and rest.startswith("downsample.")
    return f"layers.{int(stage) - 1}.{rest}" if opens else key


def test_features_are_those_of_mmdetection():
    torch.manual_seed(0)
    ours = build_backbone(timm_cfg("toy_swin")).eval()
    theirs = SwinTransformer(embed_dims=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 2, 2))
    theirs.eval()  # which returns nothing
    for stage in range(4):  # ours are OUT_NORM
        setattr(theirs, f"norm{stage}", torch.nn.Identity())
    weights = {as_published(key): value for key, value in ours.body.state_dict().items()}
    converted = {
        key.removeprefix("backbone."): value for key, value in swin_converter(weights).items()
    }
    missing = theirs.load_state_dict(converted, strict=False)
    assert not missing.unexpected_keys
    assert all("_index" in key for key in missing.missing_keys)
    # Sides that are multiples of 7 windows at each stage: else timm pads after the shift, mmdetection before it.
    image = torch.randn(1, 3, 224, 448)
    with torch.no_grad():
        for feature, expected in zip(ours(image).values(), theirs(image), strict=True):
            torch.testing.assert_close(feature, expected, rtol=1e-5, atol=1e-5)
