import pytest

from solo.benchmark.infer import benchmark_inference
from solo.benchmark.models import (
    Workload,
    inference_stages,
    load_for_inference,
    training_stages,
)
from solo.benchmark.post import benchmark_post, run_network
from solo.benchmark.sweep import VALUES, sweep
from solo.benchmark.train import benchmark_training
from solo.structures.image_size import ImageSize
from tests.conftest import make_cfg

TINY = Workload(size=(64, 64), original=(50, 70), objects=2, candidates=4)


def check(rows, stages):
    assert {row.name for row in rows} == {*stages, "the rest", "all"}
    assert all(row.median_ms > 0 and row.p90_ms >= row.median_ms for row in rows)
    assert sum(row.median_ms for row in rows[:-1]) == pytest.approx(rows[-1].median_ms, rel=0.5)
    assert rows[-1].peak_mb is None or rows[-1].peak_mb >= 0


NETWORK = {"preprocess", "backbone", "head"}
FINDING = {"candidates", "masks", "NMS", "resize", "RLE"}


def test_inference(variant):
    check(benchmark_inference(make_cfg(variant), TINY, repeats=2), NETWORK | FINDING)


def test_what_follows_the_network(variant):
    check(benchmark_post(make_cfg(variant), TINY, repeats=2), FINDING)


def test_training(variant):
    rows = benchmark_training(make_cfg(variant), TINY._replace(images=2), repeats=2)
    check(rows, NETWORK | {"targets", "losses", "backward", "optimizer"})


def test_made_up_candidates_are_found(variant):
    model = load_for_inference(make_cfg(variant))
    many = TINY._replace(candidates=40)
    padded, outputs = run_network(model, many)
    (found,) = model.find(outputs, [ImageSize(padded, many.size, many.original)])
    assert 5 <= len(found) <= 40
    shares = found.pred_masks.float().mean(dim=(1, 2))
    assert shares.min() > 0 and shares.median() < 0.9
    assert not any(part._forward_hooks for part in model.modules())


def test_larger_kernels_are_refused(tiny_cfg):
    tiny_cfg.MODEL.SOLO.KERNEL_SIZE = 3
    with pytest.raises(ValueError, match="KERNEL_SIZE 1 only"):
        run_network(load_for_inference(tiny_cfg), TINY)


def test_stages_name_what_is_there(variant):
    model = load_for_inference(make_cfg(variant))
    for stages in (inference_stages(model), training_stages(model)):
        for functions in stages.values():
            for owner, name in functions:
                assert callable(getattr(owner, name)), name


def test_nothing_to_do_is_refused(tiny_cfg):
    for wrong in (TINY._replace(size=(0, 64)), TINY._replace(candidates=-1)):
        with pytest.raises(ValueError, match="too small"):
            benchmark_post(tiny_cfg, wrong)


def test_cuda_that_is_not_there_is_named(tiny_cfg, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    tiny_cfg.MODEL.DEVICE = "cuda"
    with pytest.raises(ValueError, match="finds no CUDA device"):
        benchmark_post(tiny_cfg, TINY)


def test_sweep_goes_through_the_values(tiny_cfg):
    seen = []

    def measure(workload):
        seen.append(workload)
        return benchmark_post(tiny_cfg, TINY, repeats=1)[-1]

    rows = sweep(measure, TINY, "candidates")
    assert [row.value for row in rows] == [work.candidates for work in seen]
    assert tuple(row.value for row in rows) == VALUES["candidates"]
    pixels = [row.value for row in sweep(measure, TINY, "size")]
    assert pixels == sorted(pixels) and pixels[0] == 256 * 352
