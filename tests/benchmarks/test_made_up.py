import pytest
from made_up import Workload, run_network

from solo.benchmark.models import load_for_inference
from solo.layers.output import ImageSize
from tests.conftest import make_cfg

MANY = Workload(size=(64, 64), original=(50, 70), candidates=40)


def test_made_up_candidates_are_found(variant):
    model = load_for_inference(make_cfg(variant))
    padded, outputs = run_network(model, MANY)
    (found,) = model.find(outputs, [ImageSize(padded, MANY.size, MANY.original)])
    assert 5 <= len(found) <= 40
    shares = found.pred_masks.float().mean(dim=(1, 2))
    assert shares.min() > 0 and shares.median() < 0.9
    assert not any(part._forward_hooks for part in model.modules())


def test_larger_kernels_are_refused(tiny_cfg):
    tiny_cfg.MODEL.SOLO.KERNEL_SIZE = 3
    with pytest.raises(ValueError, match="KERNEL_SIZE 1 only"):
        run_network(load_for_inference(tiny_cfg), MANY)
