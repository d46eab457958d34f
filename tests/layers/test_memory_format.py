import pytest
import torch

from solo.layers import cpu
from solo.layers.memory_format import memory_format
from solo.modeling.fuse import prepare_for_inference
from tests.conftest import build, make_cfg, training_item

LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format


@pytest.fixture
def with_avx512(monkeypatch):
    def choose(has):
        features = cpu.Features("amd", avx2=True, avx512=has, vnni=has, bfloat16=has)
        monkeypatch.setattr(cpu, "features", lambda: features)

    return choose


@pytest.mark.parametrize(("has", "training"), [(True, LAST), (False, CONTIGUOUS)])
def test_a_cpu_decides_for_training_and_inference_apart(with_avx512, has, training):
    with_avx512(has)
    cfg = make_cfg()
    assert memory_format(cfg, training=True) == training
    assert memory_format(cfg, training=False) == LAST


def test_a_gpu_wants_it_in_mixed_precision():
    cfg = make_cfg()
    cfg.MODEL.DEVICE = "cuda"
    assert memory_format(cfg, training=True) == CONTIGUOUS
    cfg.SOLVER.AMP.ENABLED = True
    assert memory_format(cfg, training=True) == LAST


@pytest.mark.parametrize("training", [True, False])
def test_the_key_forces_one(with_avx512, training):
    with_avx512(False)
    cfg = make_cfg()
    for word, expected in (("channels_last", LAST), ("contiguous", CONTIGUOUS)):
        cfg.MODEL.MEMORY_FORMAT = word
        assert memory_format(cfg, training=training) == expected
    cfg.MODEL.MEMORY_FORMAT = "nhwc"
    with pytest.raises(ValueError, match="use one of auto, channels_last, contiguous"):
        memory_format(cfg, training=training)


def test_a_model_trains_in_one_format_and_finds_in_the_other(with_avx512, variant):
    with_avx512(False)
    cfg = make_cfg(variant)
    model = build(cfg)
    weight = model.backbone.bottom_up.res2[0].conv2.weight
    assert weight.is_contiguous()
    sum(model([training_item()]).values()).backward()
    image = {"image": training_item()["image"]}
    expected = model.eval()([image])[0]["instances"]
    prepare_for_inference(model, cfg)
    assert weight.is_contiguous(memory_format=LAST) and not weight.is_contiguous()
    found = model([image])[0]["instances"]
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=1e-3)
