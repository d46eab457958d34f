"""Losses of soft masks beside dice: each against a loop, with its gradient, and in models of every variant."""

import math

import pytest
import torch
from detectron2.utils.events import EventStorage
from torch.nn import functional as F

from solo.modeling.heads.decoupled import product_logits
from solo.modeling.losses import dice_loss
from solo.modeling.mask_terms import (
    PointTerm,
    Shown,
    boundary_band,
    boundary_dice_term,
    cross_entropy_term,
)
from tests.conftest import build, make_cfg, training_item
from tests.modeling.test_early_keys import losses_and_gradients, mask_loss_by_loop, truth_of

TERMS = {"POINT_BCE_WEIGHT": 1.0, "BOUNDARY_DICE_WEIGHT": 2.0, "MASK_BCE_WEIGHT": 0.5}
NAMES = ["loss_point_bce", "loss_boundary_dice", "loss_mask_bce"]


def band_by_loop(mask, reach):
    height, width = mask.shape
    near = torch.zeros(height, width, dtype=torch.bool)
    for y in range(height):
        for x in range(width):
            around = mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            near[y, x] = bool((around != mask[y, x]).any())
    return near


@pytest.mark.parametrize("reach", [1, 2, 9])
def test_the_band_equals_the_loop(reach):
    torch.manual_seed(0)
    masks = torch.zeros(4, 9, 12, dtype=torch.bool)
    masks[0], masks[1, 2:6, 3:], masks[2, 4, 5] = torch.rand(9, 12) > 0.8, True, True
    expected = torch.stack([band_by_loop(mask, reach) for mask in masks])
    assert torch.equal(boundary_band(masks, reach), expected)
    assert not expected[3].any() and not boundary_band(~masks[3:], reach).any()


def made_up():
    """Two instances of an image of 40 x 48 pixels, and soft masks at stride 4 of three pairs."""
    torch.manual_seed(0)
    (truth,) = truth_of([training_item(((3, 5, 22, 31), (20, 8, 47, 36)), (0, 1), size=(40, 48))])
    masks = torch.zeros(2, 10, 12, dtype=torch.bool)
    masks[0, 1:8, 1:5], masks[1, 2:9, 5:12] = True, True
    logits = (4 * torch.randn(3, 10, 12)).requires_grad_()
    return Shown(truth, masks, 4), logits, torch.tensor([1, 0, 1])


def read_by_loop(logits, x, y):
    """Bilinear between the centres of pixels of stride 4, those at the border going on beyond it."""
    height, width = logits.shape
    u, v = min(max(x / 4 - 0.5, 0), width - 1), min(max(y / 4 - 0.5, 0), height - 1)
    left, top = int(u), int(v)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    upper = logits[top, left] * (1 - (u - left)) + logits[top, right] * (u - left)
    lower = logits[bottom, left] * (1 - (u - left)) + logits[bottom, right] * (u - left)
    return upper * (1 - (v - top)) + lower * (v - top)


def points_by_loop(shown, logits, instances):
    rule = PointTerm(8, seed=5)
    places = rule.draw(shown.truth, 26)  # 24 candidates, of which 6 count, and 2 more
    values = []
    for mask, instance in zip(logits, instances.tolist(), strict=True):
        read = [(read_by_loop(mask, x, y), int(x), int(y)) for x, y in places[instance].tolist()]
        doubtful = sorted(read[:24], key=lambda one: abs(float(one[0])))[:6]
        logs = []
        for logit, x, y in [*doubtful, *read[24:]]:
            p = logit.sigmoid()
            logs.append(-(p if shown.truth.gt_masks[instance, y, x] else 1 - p).log())
        values.append(sum(logs) / 8)
    return torch.stack(values)


def cross_entropy_by_loop(shown, logits, instances):
    soft, target = logits.sigmoid(), shown.masks[instances].double()
    return -(target * soft.log() + (1 - target) * (1 - soft).log()).mean(dim=(1, 2))


def boundary_dice_by_loop(shown, logits, instances):
    values = []
    for mask, instance in zip(logits.sigmoid(), instances, strict=True):
        near = band_by_loop(shown.masks[instance], 2)
        p, t = mask[near], shown.masks[instance][near].double()
        values.append(1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum() + 0.002))
    return torch.stack(values)


@pytest.mark.parametrize(
    ("make", "by_loop"),
    [
        (PointTerm(8, seed=5), points_by_loop),
        (cross_entropy_term, cross_entropy_by_loop),
        (lambda shown: boundary_dice_term(0.0, shown), boundary_dice_by_loop),
    ],
    ids=NAMES,
)
def test_a_term_and_its_gradient_equal_the_loop(make, by_loop):
    shown, logits, instances = made_up()
    factors = torch.tensor([1.0, 2.0, -3.0])
    losses = make(shown)(logits.sigmoid(), logits, instances)
    (losses * factors).sum().backward()
    double = logits.detach().double().requires_grad_()
    expected = by_loop(shown, double, instances)
    (expected * factors).sum().backward()
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits.grad.double(), double.grad, rtol=1e-4, atol=1e-6)


def test_finite_where_probabilities_are_0_and_1():
    shown, logits, instances = made_up()
    logits = torch.where(logits > 0, 1000.0, -1000.0).detach().requires_grad_()
    for make in (PointTerm(50), cross_entropy_term, lambda given: boundary_dice_term(0.0, given)):
        loss = make(shown)(logits.sigmoid(), logits, instances).sum()
        loss.backward()
        assert loss.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize("size", [10.0, 20.0, 40.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_pixels_that_are_surely_wrong_learn_as_by_their_logits(size, sign):
    """Right and wrong pixels, all of one logit: the gradients are those of torch's own loss."""
    shown, logits, instances = made_up()
    logits = torch.full_like(logits, sign * size).requires_grad_()
    target = shown.masks[instances].float()
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(1, 2))
    (expected,) = torch.autograd.grad(loss.sum(), logits)
    found = cross_entropy_term(shown)(logits.sigmoid(), logits, instances)
    torch.testing.assert_close(found, loss)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=0)
    # Each point that is wrong pulls with its whole share.
    loss = PointTerm(8)(shown)(logits.sigmoid(), logits, instances)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    share = gradient.sum(dim=(1, 2)) * 8
    assert (share.abs() > 0.999).all()
    torch.testing.assert_close(share, share.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("x", "y"), [(-40.0, 3.0), (-20.0, -30.0), (40.0, 25.0), (0.5, 17.0)])
def test_logits_of_a_product(x, y):
    given = torch.tensor([x, y], requires_grad=True)
    found = product_logits(*given)
    double = given.detach().double().requires_grad_()
    z = F.softplus(-double).sum()  # -log of the product
    expected = -z.expm1().log()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    slopes = (torch.autograd.grad(one, of)[0] for one, of in ((found, given), (expected, double)))
    torch.testing.assert_close(*(slope.double() for slope in slopes), rtol=1e-4, atol=1e-9)


def test_soft_masks_with_their_logits(variant):
    model = build(make_cfg(variant))
    images = model.preprocess(batch()).tensor
    masks, cells = model.run_network(images).masks, torch.tensor([20, 0, 3, 17])
    for size in ((16, 16), (32, 24)):
        soft, logits = model.head.soft_masks_and_logits(masks, 1, cells, size)
        assert torch.equal(soft, model.head.soft_masks(masks, 1, cells, size))
        # Of all but equal probabilities, as an untrained head has them, the order of the two does not count.
        torch.testing.assert_close(logits.sigmoid(), soft, rtol=0.05, atol=1e-4)
    assert all(len(part) == 0 for part in model.head.soft_masks_and_logits(masks, 1, cells[:0]))


def test_a_model_that_misses_all_learns(variant):
    """Its logits are -30 and less: of the probabilities, next to 0, no gradient comes back."""
    plain, model = (build(cfg_with(variant, MASK_BCE_WEIGHT=weight)) for weight in (0.0, 1.0))
    for one in (plain, model):
        for name, parameter in one.head.named_parameters():
            if "mask_predictor" in name and name.endswith("bias"):
                torch.nn.init.constant_(parameter, -30.0)
        if variant == "SOLOv2":
            kernels, levels = one.head.kernel_predictor, one.head.mask_feature.predictor
            torch.nn.init.constant_(kernels.weight, 0.0)
            torch.nn.init.constant_(kernels.bias, -1.0)
            torch.nn.init.constant_(levels.norm.weight, 0.0)
            torch.nn.init.constant_(levels.norm.bias, 5.0)
    before, after = (losses_and_gradients(one, batch())[1] for one in (plain, model))
    moved = [name for name in after if "predictor" in name and "category" not in name]
    largest = max(after[name].abs().max() for name in moved)
    assert largest > 1e-2 and max(before[name].abs().max() for name in moved) < 1e-6


def test_points_lie_around_the_box_within_the_image():
    shown, _, _ = made_up()
    places = PointTerm(8).draw(shown.truth, 2000)
    low, high = places.amin(dim=1), places.amax(dim=1)
    torch.testing.assert_close(low, torch.tensor([[0.0, 0], [13.25, 1]]), atol=0.1, rtol=0)
    torch.testing.assert_close(high, torch.tensor([[26.75, 37.5], [48, 40]]), atol=0.1, rtol=0)


def test_the_draw_depends_on_seed_iteration_and_boxes_alone():
    shown, _, _ = made_up()

    def drawn(iteration, seed=0, truth=shown.truth):
        with EventStorage(iteration):
            return PointTerm(4, seed).draw(truth, 3)

    first = drawn(3)
    torch.rand(7)
    assert torch.equal(drawn(3), first)
    assert not torch.equal(drawn(4), first) and not torch.equal(drawn(3, seed=1), first)
    assert drawn(3, truth=shown.truth[:0]).shape == (0, 3, 2)


def test_dice_within_everything_is_dice():
    shown, logits, instances = made_up()
    soft, whole = logits.sigmoid(), torch.ones_like(shown.masks)
    plain, within = (
        dice_loss(soft, shown.masks, instances, smooth=1.0, within=part) for part in (None, whole)
    )
    assert torch.equal(plain, within)


def cfg_with(variant, **loss):
    cfg = make_cfg(variant)
    for key, value in loss.items():
        cfg.MODEL.SOLO.LOSS[key] = value
    return cfg


def batch():
    return [training_item(), training_item((), (), seed=1), training_item(seed=2)]


def test_weights_of_terms_in_every_variant(variant):
    plain = build(cfg_with(variant))(batch())
    losses = build(cfg_with(variant, **TERMS))(batch())
    assert [*losses] == ["loss_category", "loss_mask", *NAMES]
    assert [*plain] == ["loss_category", "loss_mask"]
    assert all(torch.equal(losses[name], loss) for name, loss in plain.items())
    doubled = {key: 2 * weight for key, weight in TERMS.items()}
    twice = build(cfg_with(variant, **doubled))(batch())
    for name in NAMES:
        assert losses[name] > 0 and twice[name].item() == pytest.approx(2 * losses[name].item())


def test_the_cross_entropy_of_a_batch_equals_the_loop(variant):
    """Divided as dice: by the pairs and the negatives, which know dice alone."""
    cfg = cfg_with(variant, MASK_BCE_WEIGHT=1.0, NEGATIVES=1.0)
    model, truth = build(cfg), truth_of(batch())
    images = model.preprocess(batch()).tensor
    outputs, targets = model.run_network(images), model.assigner.of_batch(truth, (64, 64))
    supervise, total, number = model.mask_loss.of_batch(truth), 0.0, 0
    for image, target in enumerate(targets):
        for cell, instance in zip(target.cells, target.instances, strict=True):
            stride = model.head.mask_strides[int(model.head.grids.levels_of(cell[None]))]
            masks = supervise(image, stride, (64 // stride, 64 // stride)).masks
            soft = model.head.soft_masks(outputs.masks, image, cell[None]).double()
            shown = Shown(truth[image], masks, stride)
            total += cross_entropy_by_loop(shown, soft.logit(), instance[None])
        number += len(target.cells) + len(target.negatives)
    assert model(batch())["loss_mask_bce"].item() == pytest.approx(float(total) / number, rel=1e-4)


@pytest.mark.parametrize("recompute", ["cheap", "all"])
def test_recomputing_changes_no_number(variant, recompute):
    cfg = cfg_with(variant, **TERMS, NEGATIVES=1.0)
    expected, gradients = losses_and_gradients(build(cfg), batch())
    cfg.MODEL.SOLO.RECOMPUTE = recompute
    losses, others = losses_and_gradients(build(cfg), batch())
    assert losses == pytest.approx(expected, rel=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, msg=name)


def test_mixed_precision_and_images_without_objects(variant):
    model = build(cfg_with(variant, **TERMS))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for items in (batch(), batch()[1:2]):
            losses, gradients = losses_and_gradients(model, items)
            assert all(map(math.isfinite, losses.values())) and len(losses) == 5
            assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert not any(losses[name] for name in NAMES)


def test_masks_learnt_finer_than_the_mask_feature(variant):
    """MASK_STRIDE 2: soft masks enlarged, beside truth at half their stride."""
    model = build(cfg_with(variant, MASK_STRIDE=2))
    loss = model(batch())["loss_mask"]
    loss.backward()
    assert loss.item() == pytest.approx(mask_loss_by_loop(model, batch(), 0.0, 2).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"POINT_BCE_WEIGHT": -1.0}, "POINT_BCE_WEIGHT is -1.0; give 0 or more"),
        ({"POINTS": 0}, "POINTS is 0; give 1 or more"),
        (
            {"BOUNDARY_DICE_WEIGHT": 1.0, "SUPERVISION": "box"},
            "BOUNDARY_DICE_WEIGHT is 1.0, which goes with masks",
        ),
    ],
)
def test_values_that_make_no_sense_are_named(keys, message):
    with pytest.raises(ValueError, match=message):
        build(cfg_with("SOLOv2", **keys))
