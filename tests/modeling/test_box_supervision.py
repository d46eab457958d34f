"""SOLO from boxes alone: what is looked at, how the losses are divided, and that masks are learnt."""

import pytest
import torch
from detectron2.structures import BitMasks
from detectron2.utils.events import EventStorage

from solo.architectures import needs_masks
from solo.errors import UserError
from solo.modeling.box_terms import (
    box_windows,
    count_edges,
    edge_offsets,
    pairwise_loss,
    projection_loss,
    similar_neighbours,
)
from tests.conftest import build, make_cfg, training_item

LOSSES = {"loss_category", "loss_projection", "loss_pairwise"}


def box_cfg(variant="SOLOv2", **keys):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.LOSS.SUPERVISION = "box"
    cfg.MODEL.SOLO.BOX_SUPERVISION.WARMUP_ITERS = 0
    cfg.MODEL.SOLO.BOX_SUPERVISION.COLOR_THRESH = 1e-4  # the images are noise
    for key, value in keys.items():
        cfg.MODEL.SOLO.BOX_SUPERVISION[key] = value
    return cfg


def boxed(item):
    """A training item as it comes from data without masks."""
    item["instances"].remove("gt_masks")
    return item


def test_the_default_needs_masks():
    assert needs_masks(make_cfg()) and not needs_masks(box_cfg())


def test_every_variant_trains_and_every_parameter_gets_a_gradient(variant):
    model = build(box_cfg(variant))
    losses = model([boxed(training_item()), boxed(training_item(seed=1))])
    assert set(losses) == LOSSES and all(loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_no_objects_at_all(variant):
    item = training_item(boxes=(), classes=())
    model = build(box_cfg(variant))
    losses = model([boxed(item)])
    assert losses["loss_projection"] == losses["loss_pairwise"] == 0
    assert torch.isfinite(losses["loss_category"])
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_one_image_without_objects_beside_one_with(variant):
    items = [boxed(training_item()), boxed(training_item(boxes=(), classes=(), seed=1))]
    losses = build(box_cfg(variant))(items)
    assert losses["loss_projection"] > 0 and torch.isfinite(sum(losses.values()))


def test_masks_are_not_looked_at(variant):
    """Data with masks: these are of other places than the boxes say."""
    item, other = training_item(), training_item()
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 60:, 60:] = True
    other["instances"].gt_masks = BitMasks(masks)
    model = build(box_cfg(variant))
    losses, same = model([item]), model([other])
    assert losses == same == model([boxed(training_item())])


def test_losses_are_means_over_pairs_and_edges():
    cfg = box_cfg(PROJECTION_WEIGHT=2.0, PAIRWISE_WEIGHT=0.5)
    model = build(cfg)
    items = [training_item(), training_item(((8, 8, 28, 28),), (1,), seed=1)]
    losses = model(items)
    offsets, sums, counts = edge_offsets(3, 2), torch.zeros(2), torch.zeros(2)
    with torch.no_grad():
        outputs = model.run_network(model.preprocess(items).tensor)
    truth = [model.ground_truth(item) for item in items]
    targets = model.assigner.of_batch(truth, (64, 64))
    for number, (item, target) in enumerate(zip(items, targets, strict=True)):
        soft = model.head.soft_masks(outputs.masks, number, target.cells)
        windows = box_windows(item["instances"].gt_boxes.tensor, 4, (16, 16))
        similar = similar_neighbours(item["image"].flip(0), 4, offsets, 1e-4)  # from BGR
        pairwise = pairwise_loss(soft, similar, offsets, windows, target.instances)
        projection = projection_loss(soft, windows, target.instances)
        sums += torch.stack([projection.sum(), pairwise.sum()])
        edges = count_edges(similar, offsets, windows)[target.instances].sum()
        counts += torch.tensor([len(target.cells), edges])
    assert (counts > 10).all()
    expected = 3.0 * torch.tensor([2.0, 0.5]) * sums / counts
    actual = torch.stack([losses["loss_projection"], losses["loss_pairwise"]])
    torch.testing.assert_close(actual, expected)


def test_the_pairwise_term_warms_up_by_the_iteration():
    model = build(box_cfg(WARMUP_ITERS=10))
    full = model([training_item()])
    for iteration, share in ((0, 0.0), (4, 0.4), (25, 1.0)):
        with EventStorage(iteration):
            losses = model([training_item()])
        assert losses["loss_pairwise"].item() == pytest.approx(share * full["loss_pairwise"].item())
        assert losses["loss_projection"] == full["loss_projection"]


def test_colours_are_those_before_normalisation_in_any_order():
    item, turned = training_item(), training_item()
    turned["image"] = item["image"].flip(0)
    cfg = box_cfg()
    cfg.INPUT.FORMAT = "RGB"
    rgb = build(cfg)
    cfg.INPUT.FORMAT, cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = "BGR", [9.0] * 3, [2.0] * 3
    bgr = build(cfg)
    theirs, ours = (
        model.ground_truth(of).gt_colors.at(4)[1] for model, of in ((bgr, turned), (rgb, item))
    )
    assert torch.equal(ours, theirs)


def test_recomputing_gives_the_same_numbers(variant):
    cfg = box_cfg(variant)
    plain = build(cfg)
    cfg.MODEL.SOLO.RECOMPUTE = "cheap"
    again = build(cfg)
    items = [training_item(), training_item(seed=1)]
    for model in (plain, again):
        sum(model(items).values()).backward()
    for (name, one), two in zip(plain.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, msg=name)


def test_mixed_precision_is_near():
    model = build(box_cfg())
    exact = model([training_item()])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model([training_item()])
    sum(rough.values()).backward()
    for name, loss in rough.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact[name].item(), rel=0.05)


@pytest.mark.parametrize(
    ("key", "value"),
    [("PAIRWISE_SIZE", 4), ("DILATION", 0), ("COLOR_THRESH", 0.0), ("WARMUP_ITERS", -1)],
)
def test_keys_that_make_no_sense_are_told(key, value):
    with pytest.raises(UserError, match=f"MODEL.SOLO.BOX_SUPERVISION.*{key} is {value}"):
        build(box_cfg(**{key: value}))


def test_negatives_are_refused():
    cfg = box_cfg()
    cfg.MODEL.SOLO.LOSS.NEGATIVES = 1.0
    with pytest.raises(UserError, match=r"NEGATIVES is 1.0, which goes with masks"):
        build(cfg)


def test_images_without_colours_that_can_be_compared_are_told():
    cfg = box_cfg()
    cfg.INPUT.FORMAT = "YUV-BT.601"
    with pytest.raises(UserError, match=r"INPUT.FORMAT is 'YUV-BT.601'.*RGB, BGR, L"):
        build(cfg)
