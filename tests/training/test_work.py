"""The work of a step, counted on tensors without values."""

import pytest
import torch

from solo.config.load import load_config
from solo.training.work import LIGHT, light_share, step_work
from tests.conftest import make_cfg
from tests.training import training_toys  # noqa: F401  (registers ToyModel)


def test_a_convolution_more_is_its_products_forward_and_backward():
    works = []
    for convolutions in (1, 2):
        cfg = make_cfg()
        cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (64,), 64
        cfg.MODEL.SOLO.NUM_CONVS = convolutions
        works.append(step_work(cfg))
    # On the five grids of kernels and of categories: 32 x 32 channels, 3 x 3, two operations each, three times.
    cells = sum(side**2 for side in make_cfg().MODEL.SOLO.NUM_GRIDS)
    assert works[1] - works[0] == 2 * cells * 32 * 32 * 9 * 2 * 3


def test_random_numbers_stay_those_of_the_training():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    step_work(make_cfg())
    assert torch.equal(torch.rand(1), expected)


def test_the_light_model_beside_the_published_ones():
    options = ["MODEL.WEIGHTS", ""]
    assert light_share(load_config(LIGHT, options, device="cpu", needs_classes=False)) == 1
    for name in ("solov2_R_50_FPN_1x", "solo_R_50_FPN_1x"):
        cfg = load_config(f"coco/{name}", options, device="cpu", needs_classes=False)
        assert light_share(cfg) == pytest.approx(0.22, abs=0.05)  # measured: 0.23 and 0.20


def test_a_model_that_cannot_be_counted():
    cfg = make_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ToyModel"  # has no head
    cfg.MODEL.DROPOUT = 0.0
    assert light_share(cfg) is None
