"""YOLOX of all six sizes and mmdetection 3.3.0's, side by side, with the same weights on the same images."""

from typing import NamedTuple

import pytest
import torch
from detectron2.modeling import build_model
from torch import nn

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import build_mmdet_detector

# isort: split
from mmcv.cnn.bricks import Swish
from mmengine.config import ConfigDict

from solo import model_zoo
from solo.checkpoint.comparison import is_counter
from solo.checkpoint.lineages import Lineage, recognise, to_mmdet, to_solo
from solo.yolox.detect import Detector, best_classes

# Parameters, and tensors without the counters of batch normalisation, as the official code's own classes have
# them with 80 classes.
SIZES = {
    "nano": (912_159, 538),
    "tiny": (5_055_855, 388),
    "s": (8_968_255, 388),
    "m": (25_326_495, 508),
    "l": (54_208_895, 628),
    "x": (99_071_455, 748),
}
THRESHOLD, OVERLAP = 0.3, 0.65


class Pair(NamedTuple):
    size: str
    theirs: nn.Module
    ours: nn.Module
    weights: dict[str, torch.Tensor]  # of theirs


@torch.no_grad()
def draw(model, seed=0):
    """Draw weights, and take statistics with which features neither vanish nor explode, and scores spread."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 4:
            drawn *= (2 / parameter[0].numel()) ** 0.5
        elif name.endswith("bn.weight"):
            drawn = 1 + 0.1 * drawn
        else:
            drawn *= 0.1
        parameter.copy_(drawn)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of all batches
    model.train()
    for side in (64, 96):
        model(images(side, count=8))
    model.eval()


def use_silu_of_torch(model):
    """Let mmdetection compute the same function as ours: its `Swish`, x * sigmoid(x), rounds otherwise."""
    for module in model.modules():
        if type(getattr(module, "activate", None)) is Swish:
            module.activate = nn.SiLU()


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    theirs = build_mmdet_detector(f"yolox/yolox_{request.param}_8xb8-300e_coco.py")
    draw(theirs)
    use_silu_of_torch(theirs)
    cfg = model_zoo.get_config(f"coco/yolox_{request.param}")
    cfg.MODEL.DEVICE = "cpu"
    # The convolutions of both sides then round alike.
    cfg.MODEL.MEMORY_FORMAT = "contiguous"
    ours = build_model(cfg).eval()
    ours.load_state_dict(to_solo(theirs.state_dict()).weights, strict=False)
    return Pair(request.param, theirs, ours, theirs.state_dict())


def images(side, count=2):
    """Patches of any colour: of noise alone, deep features hardly differ from place to place."""
    generator = torch.Generator().manual_seed(side)
    patches = torch.rand(count, 3, side // 8, side // 8, generator=generator)
    return 255 * nn.functional.interpolate(patches, scale_factor=8)


def test_parameters_and_tensors_are_counted(pair):
    parameters, tensors = SIZES[pair.size]
    assert sum(parameter.numel() for parameter in pair.ours.parameters()) == parameters
    assert sum(not is_counter(key) for key in pair.ours.state_dict()) == tensors


def test_names_go_there_and_back(pair):
    assert recognise(pair.weights) is Lineage.MMDET_YOLOX
    ours = pair.ours.state_dict()
    assert to_solo(pair.weights).weights.keys() == {key for key in ours if not is_counter(key)}
    back = to_mmdet(ours)
    assert back.keys() == pair.weights.keys()
    for key, value in back.items():
        assert is_counter(key) or torch.equal(value, pair.weights[key]), key


@torch.no_grad()
@pytest.mark.parametrize("side", [64, 96])
def test_outputs(pair, side):
    batch = images(side)
    raw = pair.ours.run_network((batch - pair.ours.pixel_mean) / pair.ours.pixel_std)
    categories, boxes, objectness = pair.theirs(batch)
    for ours, levels in (
        (raw.categories, categories),
        (raw.boxes, boxes),
        (raw.objectness[..., None], objectness),
    ):
        expected = torch.cat([level.flatten(2).mT for level in levels], dim=1)
        assert expected.std() > 0.05  # there is something to compare
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_outputs_with_an_activation_of_their_own():
    # In double precision, where no rounding hides or makes a difference.
    theirs = build_mmdet_detector("yolox/yolox_nano_8xb8-300e_coco.py")
    draw(theirs)
    cfg = model_zoo.get_config("coco/yolox_nano")
    cfg.MODEL.DEVICE = "cpu"
    ours = build_model(cfg).eval()
    ours.load_state_dict(to_solo(theirs.state_dict()).weights, strict=False)
    batch = images(64).double()
    raw = ours.double().run_network(batch)
    expected = torch.cat([level.flatten(2).mT for level in theirs.double()(batch)[1]], dim=1)
    torch.testing.assert_close(raw.boxes, expected, atol=1e-10, rtol=0)


@torch.no_grad()
def test_detections(pair):
    # At this size no box of the drawn weights overflows.
    outputs = pair.theirs(images(64))
    raw = pair.ours.run_network(images(64))
    metas = [{"img_shape": (64, 64), "ori_shape": (64, 64), "scale_factor": (1.0, 1.0)}] * 2
    test = ConfigDict(score_thr=THRESHOLD, nms={"type": "nms", "iou_threshold": OVERLAP})
    detector = Detector(
        score_thresh=THRESHOLD, nms_thresh=OVERLAP, class_agnostic=False, max_detections=10_000
    )
    for with_nms in (False, True):
        expected = pair.theirs.bbox_head.predict_by_feat(
            *outputs, batch_img_metas=metas, cfg=test, with_nms=with_nms
        )
        for image, theirs in enumerate(expected):
            candidates = best_classes(raw, image)
            assert candidates.boxes.isfinite().all()
            found = candidates.take(candidates.scores >= THRESHOLD)
            found = detector.suppress(candidates) if with_nms else found
            assert 10 <= len(found.scores) < len(candidates.scores)
            torch.testing.assert_close(found.scores, theirs.scores, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(found.boxes, theirs.bboxes, atol=1e-3, rtol=1e-5)
            assert torch.equal(found.classes, theirs.labels)
