"""How often the CPU waits for the device: counted on a device that is not there, see other_device.py.

With `pytest -s` the counts are printed.
"""

import pytest
import torch
from detectron2.utils.events import EventStorage

from solo.layers.masks import measure_masks
from solo.modeling.target_log import LOG_PERIOD
from tests.conftest import build, make_cfg, training_item
from tests.modeling.other_device import DEVICE, DeviceTensor, Waits, move

# A training step: forward, losses and backward, of any number of images whose loader measured the masks.
TRAINING_BUDGET = 0
# An image at test: what is left of the suppression.
TEST_BUDGET = 1
# In addition: the masks as run lengths; what beats what in greedy suppression; nothing for fewer candidates; where more
# of them are above the threshold than enter the suppression, all that is waited for where it begins anew.
EXTRA = {
    "MASK_FORMAT": ("rle", 1),
    "NMS": ("mask", 1),
    "MAX_CANDIDATES": (100, 0),
    "PRE_NMS_TOPK": (20, 3),
}


@pytest.fixture(autouse=True)
def autocast_knows_the_device(monkeypatch):
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda kind, **keys: autocast("cpu", **keys))


def images(count):
    """A batch whose images show 2, 1, 0 and 8 objects, with what the mapper adds to masks."""
    rows = [(x, y, x + 12, y + 14) for x in (2, 18, 34, 50) for y in (4, 40)]
    boxes = [((8, 8, 28, 28), (32, 28, 54, 50)), ((3, 3, 60, 60),), (), rows][:count]
    items = [training_item(box, [0] * len(box), seed=seed) for seed, box in enumerate(boxes)]
    for item in items:
        item["instances"].gt_measures = measure_masks(item["instances"].gt_masks.tensor)
    return items


def step(model, batch):
    # At an iteration that is logged.
    with EventStorage(LOG_PERIOD - 1):
        losses = model(batch)
    sum(losses.values()).backward()
    return losses


@pytest.mark.parametrize("category", ["quality_focal", "varifocal"])
def test_a_training_step_whose_scores_know_the_masks(category):
    cfg = make_cfg("SOLOv2")
    cfg.MODEL.SOLO.LOSS.CATEGORY, cfg.MODEL.SOLO.QUALITY.ENABLED = category, True
    expected = step(build(cfg), images(4))
    with Waits() as waits:
        losses = step(move(build(cfg)), images(4))
    assert waits.counts.total() <= TRAINING_BUDGET
    for name, loss in losses.items():
        assert loss.held.item() == pytest.approx(expected[name].item(), rel=1e-4)


@pytest.mark.parametrize("count", [1, 4])
def test_a_training_step(variant, count):
    cfg = make_cfg(variant)
    expected = step(build(cfg), images(count))
    with Waits() as waits:
        losses = step(move(build(cfg)), images(count))
    print(f"\ntraining, {variant}, {count} images: {dict(waits.counts)}")
    assert waits.counts.total() <= TRAINING_BUDGET
    for name, loss in losses.items():
        assert loss.held.item() == pytest.approx(expected[name].item(), rel=1e-4)


def test_a_training_step_that_measures_the_masks_itself_waits_for_that(variant):
    batch = images(4)
    for item in batch:
        item["instances"].remove("gt_measures")
    with Waits() as waits:
        step(move(build(make_cfg(variant))), batch)
    assert waits.counts.total() == TRAINING_BUDGET + 1


def test_a_training_step_that_chooses_cells_waits_once_more(variant):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.ASSIGNMENT, cfg.MODEL.SOLO.DYNAMIC.WARMUP_ITERS = "dynamic", 0
    with Waits() as waits:
        step(move(build(cfg)), images(4))
    assert waits.counts.total() <= TRAINING_BUDGET + 1


def finding_model(variant, **test_keys):
    """A model that finds something in noise."""
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.001
    cfg.MODEL.SOLO.TEST.CHUNK_SIZE = 16
    for key, value in test_keys.items():
        cfg.MODEL.SOLO.TEST[key] = value
    model = build(cfg).eval()
    for name, weight in model.head.named_parameters():
        if "predictor" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.parametrize("key", [None, *EXTRA])
def test_an_image_at_test(variant, key):
    value, more = EXTRA.get(key, (None, 0))
    keys = {} if key is None else {key: value}
    [item] = images(1)
    with torch.no_grad():
        [expected] = finding_model(variant, **keys)([item])
        with Waits() as waits:
            [found] = move(finding_model(variant, **keys))([item])
    expected, found = expected["instances"], found["instances"]
    print(f"\ntest, {variant}, {key}: {len(found)} found, {dict(waits.counts)}")
    assert waits.counts.total() <= TEST_BUDGET + more
    assert len(found) == len(expected) > 10
    assert torch.allclose(found.scores.held, expected.scores, atol=1e-4)
    assert found.pred_classes.device == found.pred_boxes.device == DEVICE


def test_nothing_found(variant):
    model = finding_model(variant, SCORE_THRESH=2.0)
    with torch.no_grad(), Waits() as waits:
        [found] = move(model)(images(1))
    assert len(found["instances"]) == 0 and waits.counts.total() <= TEST_BUDGET
    assert found["instances"].pred_masks.device == found["instances"].scores.device == DEVICE


WAITING = {
    "nonzero": lambda x: x.nonzero(),
    "index by booleans": lambda x: x[x > 1],
    "index on the CPU": lambda x: x[torch.tensor([1, 0])],
    "copy to the CPU": lambda x: x.tolist(),
    "_local_scalar_dense": lambda x: x.max().item(),
    "_unique2": lambda x: x.unique(),
    "copy to the device": lambda x: x + x.new_tensor([1.0, 2, 3]),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_is_counted(name):
    x = DeviceTensor(torch.arange(3.0))
    with Waits() as waits:
        WAITING[name](x)
        torch.arange(3).nonzero().tolist()  # the CPU waits for nothing of its own
        (x * 2).sum() + torch.zeros(())
    assert waits.counts == {name: 1}


def test_the_devices_do_not_mix():
    with Waits(), pytest.raises(AssertionError, match="of the CPU and of the device"):
        DeviceTensor(torch.ones(3)) + torch.ones(3)
