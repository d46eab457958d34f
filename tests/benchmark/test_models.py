import pytest

from solo.benchmark.infer import benchmark_inference
from solo.benchmark.models import load_for_inference, with_rle
from solo.benchmark.train import benchmark_training
from tests.conftest import make_cfg

SIZE = (64, 64)
NETWORK = {"preprocess", "backbone", "head"}
FINDING = {"candidates", "masks", "NMS", "resize", "RLE"}


def infer(cfg, **changes):
    cfg = with_rle(cfg)
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.0  # random weights find something
    settings = {"size": SIZE, "original": (50, 70), "repeats": 1, **changes}
    return benchmark_inference(load_for_inference(cfg), cfg, **settings)


def train(cfg, **changes):
    return benchmark_training(
        cfg, **{"size": SIZE, "images": 2, "objects": 2, "repeats": 1, **changes}
    )


def check(rows, stages):
    assert {row.name for row in rows} == {*stages, "the rest", "all"}
    *parts, whole = rows
    assert all(row.median_ms > 0 for row in rows)
    # Of one repeat, so that medians add up.
    assert sum(row.median_ms for row in parts) == pytest.approx(whole.median_ms)
    assert whole.peak_mb is None or whole.peak_mb >= 0


def test_inference(variant):
    check(infer(make_cfg(variant)), NETWORK | FINDING)


def test_training(variant):
    check(train(make_cfg(variant)), NETWORK | {"targets", "losses", "backward", "optimizer"})


@pytest.mark.parametrize("wrong", [{"size": (0, 64)}, {"original": (50, 0)}])
def test_empty_images_are_refused(tiny_cfg, wrong):
    with pytest.raises(ValueError, match="too small"):
        infer(tiny_cfg, **wrong)


@pytest.mark.parametrize("wrong", [{"size": (64, 0)}, {"images": 0}, {"objects": 0}])
def test_empty_batches_are_refused(tiny_cfg, wrong):
    with pytest.raises(ValueError, match="too small"):
        train(tiny_cfg, **wrong)


def test_cuda_that_is_not_there_is_named(tiny_cfg, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    tiny_cfg.MODEL.DEVICE = "cuda"
    with pytest.raises(ValueError, match="finds no CUDA device"):
        train(tiny_cfg)
