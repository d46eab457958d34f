"""PAFPN beside mmdetection's, with the same weights."""

import pytest
import torch

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
import mmdet_models  # noqa: F401

# isort: split

from mmdet.models.necks import PAFPN

from solo.modeling.necks import build_backbone
from tests.modeling.necks.test_necks import neck_cfg


def test_levels_are_those_of_mmdetection():
    torch.manual_seed(0)
    ours = build_backbone(neck_cfg("pafpn"))
    shapes = [shape.channels for shape in ours.bottom_up.output_shape().values()]
    theirs = PAFPN(in_channels=shapes, out_channels=32, num_outs=5)
    names = {}
    for place, level in enumerate(ours.levels):
        names[f"lateral_convs.{place}.conv"] = f"fpn_lateral{level}"
        names[f"fpn_convs.{place}.conv"] = f"fpn_output{level}"
        names[f"downsample_convs.{place - 1}.conv"] = f"pafpn_down{level}"
        names[f"pafpn_convs.{place - 1}.conv"] = f"pafpn_output{level}"
    weights = ours.state_dict()
    theirs.load_state_dict(
        {
            key: weights[f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}"]
            for key in theirs.state_dict()
        }
    )
    features = [torch.randn(2, c, 64 >> k, 96 >> k) for k, c in enumerate(shapes)]
    with torch.no_grad():
        laterals = [
            ours.get_submodule(f"fpn_lateral{level}")(feature)
            for level, feature in zip(ours.levels, features, strict=True)
        ]
        for level, expected in zip(ours.combine(laterals), theirs(features), strict=True):
            torch.testing.assert_close(level, expected, rtol=1e-5, atol=1e-5)
