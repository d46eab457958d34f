import copy

import pytest
import torch
from detectron2.structures import BitMasks, PolygonMasks

from solo.layers.masks import masks_to_boxes
from tests.conftest import build, make_cfg, rectangles, training_item


def total(losses):
    return sum(losses.values())


def test_both_names_resolve():
    assert type(build(make_cfg("SOLO"))).__name__ == "SOLO"
    assert type(build(make_cfg("SOLOv2"))).__name__ == "SOLOv2"


def test_every_variant_trains_and_every_parameter_gets_a_gradient(variant):
    model = build(make_cfg(variant))
    losses = model([training_item(), training_item(seed=1)])
    assert set(losses) == {"loss_category", "loss_mask"}
    total(losses).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_no_objects_at_all(variant):
    """No annotation in the batch: a finite loss, a gradient for every parameter, no crash."""
    item = training_item(boxes=(), classes=())
    item["instances"].remove("gt_masks")  # as detectron2's mapper hands it out
    model = build(make_cfg(variant))
    losses = model([item])
    assert losses["loss_mask"] == 0 and torch.isfinite(losses["loss_category"])
    total(losses).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_no_positive_cell(variant):
    """An object that no level takes, and one whose mask is empty."""
    item = training_item(boxes=((3, 3, 40, 40),), classes=(0,))
    item["instances"].gt_masks.tensor[:] = False
    losses = build(make_cfg(variant))([item])
    assert losses["loss_mask"] == 0 and torch.isfinite(losses["loss_category"])


def test_one_image_without_objects_beside_one_with(variant):
    model = build(make_cfg(variant))
    losses = model([training_item(), training_item(boxes=(), classes=(), seed=1)])
    assert losses["loss_mask"] > 0 and torch.isfinite(total(losses))


def test_six_hundred_instances_in_one_image(variant):
    boxes = [(x % 60, x // 12, x % 60 + 4, x // 12 + 4) for x in range(600)]
    losses = build(make_cfg(variant))([training_item(boxes, [0] * 600)])
    assert torch.isfinite(total(losses))


def test_one_pixel_and_zero_area_masks(variant):
    item = training_item(boxes=((10, 10, 11, 11), (20, 20, 40, 40)), classes=(0, 1))
    item["instances"].gt_masks.tensor[1] = False
    model = build(make_cfg(variant))
    total(model([item])).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_polygons_and_bitmasks_train_alike():
    item = training_item(boxes=((8, 8, 28, 28),), classes=(0,))
    polygons = copy.copy(item)
    polygons["instances"] = rectangles((64, 64), ((8, 8, 28, 28),), (0,))
    polygons["instances"].gt_masks = PolygonMasks([[[8.0, 8, 28, 8, 28, 28, 8, 28]]])
    model = build(make_cfg()).train()
    expected, actual = model([item]), model([polygons])
    assert total(actual).item() == pytest.approx(total(expected).item(), abs=1e-6)


def test_order_of_the_instances_does_not_matter():
    """As long as they do not share cells."""
    boxes, classes = ((4, 4, 24, 24), (36, 36, 60, 60)), (0, 2)
    model = build(make_cfg()).train()
    item, turned = training_item(boxes, classes), training_item(boxes, classes)
    turned["instances"] = rectangles((64, 64), boxes[::-1], classes[::-1])
    assert total(model([turned])).item() == pytest.approx(total(model([item])).item(), rel=1e-6)


def test_training_needs_annotations():
    model = build(make_cfg())
    item = training_item()
    del item["instances"]
    with pytest.raises(ValueError, match=r"image0\.jpg has no 'instances'"):
        model([item])
    item = training_item()
    item["instances"].remove("gt_masks")
    with pytest.raises(ValueError, match=r"image0\.jpg have boxes but no masks"):
        model([item])


def trained_model(variant, iterations):
    """Overfit one image of two rectangles."""
    model = build(make_cfg(variant))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0)
    for _ in range(iterations):
        losses = model([training_item()])
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
    return model, losses


@pytest.fixture(scope="module")
def overfitted():
    return {}


def overfit(overfitted, variant):
    if variant not in overfitted:
        overfitted[variant] = trained_model(variant, 200)
    return overfitted[variant]


def test_one_batch_can_be_learned(variant, overfitted):
    model, losses = overfit(overfitted, variant)
    assert losses["loss_mask"] < 0.6 and losses["loss_category"] < 0.1
    model.eval()
    item = training_item()
    # The statistics of one image are what the model was trained with.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    instances = model([item])[0]["instances"]
    best = instances[instances.scores > 0.5]
    assert sorted(best.pred_classes.tolist()) == [0, 2]
    truth = item["instances"]
    for label, mask in zip(truth.gt_classes, truth.gt_masks.tensor, strict=True):
        found = best.pred_masks[best.pred_classes == label][0]
        assert (found & mask).sum() / (found | mask).sum() > 0.75


def test_instances_fit_together(variant, overfitted):
    """Boxes bound the masks, scores descend, types are right, with and without detections."""
    model, _ = overfit(overfitted, variant)
    model.eval()
    item = {**training_item(), "height": 90, "width": 50}
    blank = {"image": torch.zeros(3, 64, 64)}
    for instances in [output["instances"] for output in model([item, blank])]:
        count = len(instances)
        assert torch.equal(instances.pred_boxes.tensor, masks_to_boxes(instances.pred_masks))
        assert instances.pred_masks.shape == (count, *instances.image_size)
        assert instances.pred_masks.dtype == torch.bool
        assert instances.pred_classes.dtype == torch.int64
        assert instances.scores.dtype == torch.float32
        assert torch.equal(instances.scores, instances.scores.sort(descending=True).values)


def test_an_image_is_not_changed_by_its_neighbour(variant, overfitted):
    model, _ = overfit(overfitted, variant)
    model.eval()
    large = {"image": training_item()["image"]}
    small = {"image": training_item(seed=2)["image"][:, :40, :50], "height": 80, "width": 100}
    together = model([large, small])
    assert together[1]["instances"].image_size == (80, 100)
    # The large image only sets the padding: another one of its size changes nothing.
    other = model([{"image": torch.rand(3, 64, 64) * 255}, small])[1]["instances"]
    assert torch.equal(other.pred_masks, together[1]["instances"].pred_masks)
    torch.testing.assert_close(other.scores, together[1]["instances"].scores)


def test_rle_equals_bitmasks(overfitted):
    model, _ = overfit(overfitted, "SOLOv2")
    cfg = make_cfg()
    cfg.MODEL.SOLO.TEST.MASK_FORMAT = "rle"
    encoder = build(cfg)
    encoder.load_state_dict(model.state_dict())
    from pycocotools import mask as coco_mask

    bitmasks = model.eval()([training_item()])[0]["instances"]
    rles = encoder.eval()([training_item()])[0]["instances"]
    assert len(bitmasks) and not rles.has("pred_masks")
    decoded = torch.tensor(coco_mask.decode(rles.pred_rles)).permute(2, 0, 1).bool()
    assert torch.equal(decoded, bitmasks.pred_masks)
    assert torch.equal(rles.pred_boxes.tensor, bitmasks.pred_boxes.tensor)


def test_same_seed_same_weights():
    first, second = trained_model("SOLOv2", 3)[0], trained_model("SOLOv2", 3)[0]
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_bitmasks_are_not_changed():
    item = training_item()
    before = item["instances"].gt_masks.tensor.clone()
    build(make_cfg())([item])
    assert isinstance(item["instances"].gt_masks, BitMasks)
    assert torch.equal(item["instances"].gt_masks.tensor, before)


recomputing = pytest.mark.parametrize("recompute", ["cheap", "all"])


def plain_and_recomputing(cfg, recompute):
    """The same model twice, the second with RECOMPUTE, each after one backward pass."""
    plain = build(cfg)
    cfg.MODEL.SOLO.RECOMPUTE = recompute
    lean = build(cfg)
    lean.load_state_dict(plain.state_dict())
    for model in (plain, lean):
        total(model([training_item()])).backward()
    return plain, lean


@recomputing
@pytest.mark.parametrize("norm", ["GN", ""])
def test_recomputing_changes_no_number(variant, norm, recompute):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.NORM = norm
    cfg.MODEL.RESNETS.NORM = "FrozenBN"
    cfg.MODEL.SOLO.NUM_CONVS = 3
    plain, lean = plain_and_recomputing(cfg, recompute)
    for (name, one), other in zip(plain.named_parameters(), lean.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)


@recomputing
def test_recomputing_leaves_the_statistics_of_batch_normalisation_alone(recompute):
    cfg = make_cfg()
    cfg.MODEL.SOLO.NORM = "BN"
    cfg.MODEL.SOLO.NUM_CONVS = 2
    plain, lean = plain_and_recomputing(cfg, recompute)
    for (name, one), other in zip(plain.named_buffers(), lean.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_wider_kernels_also_find_nothing_in_an_empty_image():
    cfg = make_cfg()
    cfg.MODEL.SOLO.KERNEL_SIZE = 3
    model = build(cfg)
    total(model([training_item()])).backward()
    assert len(model.eval()([{"image": torch.zeros(3, 64, 64)}])[0]["instances"]) == 0


def test_features_that_no_head_reads():
    cfg = make_cfg("SOLO")
    assert not build(cfg).has_unread_features
    cfg.MODEL.SOLO.IN_FEATURES = ["p3", "p3", "p4", "p5", "p6"]
    assert build(cfg).has_unread_features
    cfg = make_cfg("SOLOv2")
    cfg.MODEL.SOLO.IN_FEATURES = ["p3", "p3", "p4", "p5", "p6"]
    assert not build(cfg).has_unread_features  # the mask feature reads p2


def test_no_features():
    cfg = make_cfg("SOLO")
    cfg.MODEL.SOLO.IN_FEATURES = []
    with pytest.raises(ValueError, match="IN_FEATURES is empty"):
        build(cfg)


def test_features_that_the_backbone_does_not_make():
    cfg = make_cfg()
    cfg.MODEL.SOLO.MASK_FEATURE.IN_FEATURES = ["p1", "p2", "p3"]
    with pytest.raises(ValueError, match=r"features \['p1'\]; the backbone makes"):
        build(cfg)
    cfg = make_cfg("SOLO")
    cfg.MODEL.SOLO.MASK_FEATURE.IN_FEATURES = ["p1"]  # which SOLO does not read
    build(cfg)
