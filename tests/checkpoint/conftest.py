"""Configs whose images are prepared as the weights of mmdetection and the official code expect."""

import pytest

from tests.conftest import META_ARCHITECTURES, make_cfg


@pytest.fixture(params=sorted(META_ARCHITECTURES))
def cfg(request):
    cfg = make_cfg(request.param)
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = (
        [123.675, 116.28, 103.53],
        [
            58.395,
            57.12,
            57.375,
        ],
    )
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    cfg.INPUT.FORMAT = "RGB"
    return cfg
