"""The auxiliary semantic loss: against a loop, in training alone, and in checkpoints that have it or not."""

import copy
import logging
import math

import pytest
import torch

from solo.checkpoint import SOLOCheckpointer, write_checkpoint
from solo.checkpoint.lineages import to_mmdet
from solo.layers.masks import downsample_masks
from solo.modeling.fuse import prepare_for_inference
from solo.modeling.semantic_loss import SemanticLoss, pixel_focal_loss
from tests.conftest import build, make_cfg, training_item
from tests.modeling.test_early_keys import losses_and_gradients, truth_of

BATCH = [
    training_item(((8, 8, 28, 28), (20, 16, 52, 48), (4, 40, 20, 60)), (0, 2, 0)),
    training_item((), (), seed=1),
    training_item(seed=2),
]


def cfg_with(weight=1.0, variant="SOLOv2", **loss):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.LOSS.SEMANTIC_WEIGHT = weight
    for key, value in loss.items():
        cfg.MODEL.SOLO.LOSS[key] = value
    return cfg


def loss_by_loop(logits, batch):
    """Focal loss of each class and pixel at stride 4: rectangles there cover pixels whose middle they cover."""
    total, shown = 0.0, 0
    for part, item in zip(logits.double(), batch, strict=True):
        found = item["instances"]
        boxes = (found.gt_boxes.tensor / 4).round().int().tolist()
        for category in range(3):
            for y in range(16):
                for x in range(16):
                    is_shown = any(
                        left <= x < right and top <= y < bottom and one == category
                        for (left, top, right, bottom), one in zip(
                            boxes, found.gt_classes.tolist(), strict=True
                        )
                    )
                    p = torch.sigmoid(part[category, y, x]).item()
                    if is_shown:
                        total -= 0.25 * (1 - p) ** 2 * math.log(p)
                        shown += 1
                    else:
                        total -= 0.75 * p**2 * math.log(1 - p)
    return total / max(shown, 1)


def test_the_loss_equals_the_loop():
    model = build(cfg_with(2.0))
    # Sides that are multiples of 4: halves of a pixel of the logits would ask for a rule of their own.
    batch = [BATCH[0], BATCH[1], training_item(((8, 8, 28, 28),), (1,), seed=2)]
    outputs = model.run_network(model.preprocess(batch).tensor)
    assert outputs.semantic.shape == (3, 3, 16, 16)
    with torch.no_grad():
        model.head.semantic.predictor.weight.mul_(100)
        expected = loss_by_loop(model.run_network(model.preprocess(batch).tensor).semantic, batch)
    loss, gradients = losses_and_gradients(model, batch)
    assert loss["loss_semantic"] == pytest.approx(2 * expected, rel=1e-4)
    assert gradients["head.semantic.conv.weight"].any()
    assert gradients["head.mask_feature.levels.0.0.weight"].any()


def test_gradient_by_finite_differences():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, dtype=torch.float64)
    shown = torch.rand(2, 3, 4) > 0.6
    rule = {"alpha": 0.25, "gamma": 2.0}
    given = logits.float().requires_grad_()
    pixel_focal_loss(given, shown, **rule).backward()

    def value(x):
        p = torch.where(shown, x, -x).sigmoid()
        return float((torch.where(shown, 0.25, 0.75) * -((1 - p) ** 2) * p.log()).sum())

    for place in [(0, 0, 0), (1, 2, 3), (0, 1, 2)]:
        step = torch.zeros_like(logits)
        step[place] = 1e-5
        slope = (value(logits + step) - value(logits - step)) / 2e-5
        assert given.grad[place].item() == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (61, 47), (33, 64)])
def test_what_is_counted_is_what_is_shown_in_the_padded_frame(size):
    (truth,) = truth_of([training_item(((2, 3, 30, 32), (9, 9, 47, 33)), (1, 1), size=size)])
    rule = SemanticLoss(3, 4)
    shown = rule.shown(truth, (16, 16))
    assert rule.count([truth, truth]).tolist() == [2 * int(shown.sum())]
    assert shown.any(dim=(1, 2)).tolist() == [False, True, False]


def test_masks_of_classes_are_made_once_a_batch(monkeypatch):
    made = []

    def count(*given):
        made.append(given)
        return downsample_masks(*given)

    monkeypatch.setattr("solo.modeling.semantic_loss.downsample_masks", count)
    model = build(cfg_with())
    for steps in (1, 2):
        model(BATCH)
        assert len(made) == steps * len(BATCH)


def test_batches_without_objects_and_mixed_precision():
    model = build(cfg_with())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for batch in (BATCH, [BATCH[1]]):
            losses, gradients = losses_and_gradients(model, batch)
            assert all(map(math.isfinite, losses.values())) and losses["loss_semantic"] > 0
            assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_other_losses_are_as_without():
    model, plain = build(cfg_with()), build(cfg_with(0.0))
    assert not any("semantic" in name for name in plain.state_dict())
    # With one seed all else starts alike.
    assert all(torch.equal(model.state_dict()[key], one) for key, one in plain.state_dict().items())
    losses, expected = model(BATCH), plain(BATCH)
    assert losses.keys() - expected.keys() == {"loss_semantic"}
    assert all(torch.equal(losses[name], loss) for name, loss in expected.items())


def test_nothing_of_it_runs_at_test():
    model = build(cfg_with()).eval()
    ran = []
    model.head.semantic.register_forward_hook(lambda *given: ran.append(given))
    outputs = model.run_network(model.preprocess(BATCH).tensor)
    assert outputs.semantic is None and not ran


def test_a_model_that_is_not_trained_any_more_has_no_such_part():
    cfg = cfg_with()
    model = build(cfg).eval()
    images = model.preprocess(BATCH).tensor
    expected = model.run_network(images).masks.feature
    prepare_for_inference(model, cfg)
    assert not any("semantic" in name for name in model.state_dict())
    assert len(model.category_parameters) == 2
    for feature, given in zip(model.run_network(images).masks.feature, expected, strict=True):
        torch.testing.assert_close(feature, given, rtol=1e-3, atol=1e-4)


def test_weights_of_others_begin_a_training_with_it(tmp_path):
    cfgs = cfg_with(0.0), cfg_with()
    for cfg in cfgs:  # as mmdetection prepares images
        cfg.INPUT.FORMAT, cfg.MODEL.RESNETS.STRIDE_IN_1X1 = "RGB", False
        cfg.MODEL.PIXEL_MEAN = [123.675, 116.28, 103.53]
        cfg.MODEL.PIXEL_STD = [58.395, 57.12, 57.375]
    plain, fresh = (build(cfg, seed) for seed, cfg in enumerate(cfgs))
    path = tmp_path / "epoch_12.pth"
    write_checkpoint({"state_dict": to_mmdet(plain.state_dict())}, path)
    SOLOCheckpointer(fresh).load(str(path))
    for name, value in plain.head.state_dict().items():
        assert torch.equal(fresh.head.state_dict()[name], value)


@pytest.mark.parametrize("complete", [False, True])
def test_weights_come_and_go_without_it(tmp_path, caplog, complete):
    models = {"with": build(cfg_with()), "without": build(cfg_with(0.0), seed=1)}
    for name, model in models.items():
        SOLOCheckpointer(model, str(tmp_path)).save(name)

    def load(model, name):
        checkpointer = SOLOCheckpointer(model, complete=complete)
        checkpointer.logger = logging.getLogger("test_semantic_loss")
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="test_semantic_loss"):
            checkpointer.load(str(tmp_path / f"{name}.pth"))
        for key, value in models[name].state_dict().items():
            if "semantic" not in key:
                assert torch.equal(model.state_dict()[key], value)
        assert {record.levelname for record in caplog.records} == {"INFO"}
        return [one.getMessage() for one in caplog.records if "semantic" in one.getMessage()]

    assert load(build(cfg_with(0.0), seed=2), "with") == []
    fresh = build(cfg_with(), seed=3)
    before = copy.deepcopy(fresh.head.semantic.state_dict())
    (told,) = load(fresh, "without")
    assert "lacks head.semantic.conv.weight" in told and "which training alone needs" in told
    for name, value in fresh.head.semantic.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("category", ["focal", "softmax"])
def test_its_rows_follow_the_names_of_classes(tmp_path, category):
    old = build(cfg_with(CATEGORY=category))
    SOLOCheckpointer(old, str(tmp_path), class_names=["a", "b", "c"]).save("old")
    cfg = cfg_with(CATEGORY=category)
    cfg.MODEL.SOLO.NUM_CLASSES = 2
    new = build(cfg, seed=1)
    before = copy.deepcopy(new.head.semantic.predictor.weight.data)
    SOLOCheckpointer(new, class_names=["c", "new"], takes_classes_by_name=True).load(
        str(tmp_path / "old.pth")
    )
    for name in ("semantic.predictor", "category_predictor"):
        mine, theirs = new.head.get_submodule(name), old.head.get_submodule(name)
        assert torch.equal(mine.weight[0], theirs.weight[2])
        assert torch.equal(mine.bias[0], theirs.bias[2])
    assert torch.equal(new.head.semantic.predictor.weight[1], before[1])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weight": -1.0}, "SEMANTIC_WEIGHT is -1.0; give 0 or more"),
        ({"variant": "SOLO"}, "SEMANTIC_WEIGHT is 1.0; set it to 0, or take SOLOv2"),
        ({"variant": "DecoupledSOLO"}, "SEMANTIC_WEIGHT is 1.0; set it to 0, or take SOLOv2"),
        ({"SUPERVISION": "box"}, "SEMANTIC_WEIGHT is 1.0; set it to 0 with"),
    ],
)
def test_where_it_cannot_be_is_told(keys, message):
    with pytest.raises(ValueError, match=message):
        build(cfg_with(**keys))
