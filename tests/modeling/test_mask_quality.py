"""How good soft masks are, as the category loss hears of it: against a loop, and the same however they are decoded."""

import pytest
import torch

from solo.layers.masks import downsample_masks
from solo.modeling.category_loss import CategoryRule
from solo.modeling.mask_quality import cell_quality, mask_ious
from solo.modeling.mask_supervision import MaskSupervision, ShownMasks
from solo.modeling.targets import Targets
from tests.conftest import build, make_cfg, training_item
from tests.modeling.test_early_keys import losses_and_gradients, truth_of


def batch():
    return [training_item(), training_item((), (), seed=1), training_item(seed=2)]


def lively(cfg):
    """A model whose soft masks are above one half here and there."""
    model = build(cfg)
    torch.manual_seed(1)
    for name, parameter in model.head.named_parameters():
        if "mask_predictors" in name or "kernel_predictor" in name:
            torch.nn.init.normal_(parameter, std=1.0)
    return model


class CountsQuality(CategoryRule):
    """The category loss and the quality of all cells, added up."""

    @property
    def wants_quality(self):
        return True

    def __call__(self, logits, categories, counts, quality=None):
        assert quality.shape == categories.shape and not quality.requires_grad
        assert (quality[categories == logits.shape[2]] == 0).all()
        return super().__call__(logits, categories, counts) + quality.sum()


def test_ious_by_hand():
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    masks[0, :2], masks[1, 1] = True, True  # 8 pixels, 4 pixels, none
    soft = torch.full((4, 4, 4), 0.5)  # half is not above one half
    soft[:2, 1:3] = 0.6  # 8 pixels
    ious = mask_ious(soft, masks, torch.tensor([0, 1, 1, 2]))
    assert ious.tolist() == pytest.approx([4 / 12, 4 / 8, 0, 0])
    assert mask_ious(soft[:0], masks, torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_a_cell_has_the_best_of_its_own_class():
    """Instances of the classes 0, 1, 1; cell 2 is claimed by all three, cell 0 by the first, cell 3 by the second."""
    cells = torch.tensor([0, 2, 2, 3, 2])
    target = Targets(torch.tensor([0, 2, 1, 1]), cells, torch.tensor([0, 0, 1, 1, 2]))
    truth = truth_of([training_item(((0, 0, 9, 9),) * 3, (0, 1, 1))])
    measured = torch.tensor([0.25, 0.9, 0.5, 0.125, 0.75])
    assert cell_quality([measured], [target], truth).tolist() == [[0.25, 0, 0.75, 0.125]]


def cfg_with(variant, *options):
    cfg = make_cfg(variant)
    cfg.merge_from_list(list(options))
    return cfg


STRIDE = ("MODEL.SOLO.LOSS.MASK_STRIDE", 8)
NEGATIVES = ("MODEL.SOLO.LOSS.NEGATIVES", 1.0)


@pytest.mark.parametrize("options", [(), STRIDE, NEGATIVES], ids=["plain", "stride", "negatives"])
def test_the_quality_of_pairs_equals_the_loop(variant, options):
    model = lively(cfg_with(variant, *options))
    images, truth = model.preprocess(batch()).tensor, truth_of(batch())
    outputs = model.run_network(images)
    targets = model.assigner.of_batch(truth, (64, 64))
    arguments = model.head, outputs.masks, targets, (64, 64), MaskSupervision(truth)
    sums = model.mask_loss(*arguments, with_quality=True)
    plain = model.mask_loss(*arguments)
    assert torch.equal(sums.total, plain.total) and plain.quality == []
    for image, (target, quality) in enumerate(zip(targets, sums.quality, strict=True)):
        expected = []
        for cell, instance in zip(target.cells, target.instances, strict=True):
            stride = model.mask_loss.stride
            stride = stride or model.head.mask_strides[int(model.head.grids.levels_of(cell[None]))]
            frame = (64 // stride, 64 // stride)
            found = model.head.soft_masks(outputs.masks, image, cell[None], frame)[0] > 0.5
            shown = downsample_masks(truth[image].gt_masks[instance[None]], stride, frame)[0]
            expected.append(float((found & shown).sum() / max((found | shown).sum(), 1)))
        assert quality.tolist() == pytest.approx(expected)
    assert sums.quality[0].any() and not len(sums.quality[1])


@pytest.mark.parametrize("options", [(), STRIDE], ids=["plain", "stride"])
def test_dice_alone_asks_for_no_probabilities(variant, options, monkeypatch):
    asked = []
    monkeypatch.setattr(ShownMasks, "of_logits", lambda *a: asked.append(a) or torch.zeros(1))
    model = build(cfg_with(variant, *options))
    model(batch())
    is_product = "Decoupled" in variant  # of two probabilities
    assert bool(asked) == (not options and not is_product)
    asked.clear()

    class Another(type(model.head)):
        def soft_masks(self, *arguments, **keys):
            return super().soft_masks(*arguments, **keys) / 2

    model.head.__class__ = Another
    model(batch())
    assert not asked


@pytest.mark.parametrize("recompute", ["cheap", "all"])
def test_asking_for_quality_changes_no_gradient(variant, recompute):
    cfg = cfg_with(variant, *NEGATIVES)
    plain, gradients = losses_and_gradients(lively(cfg), batch())
    told = []
    for keep in ("none", recompute):
        cfg.MODEL.SOLO.RECOMPUTE = keep
        model = lively(cfg)
        model.category_loss = CountsQuality()
        losses, others = losses_and_gradients(model, batch())
        told.append(losses)
        assert losses["loss_mask"] == pytest.approx(plain["loss_mask"], rel=1e-6)
        assert losses["loss_category"] > plain["loss_category"]
        for name, gradient in gradients.items():
            torch.testing.assert_close(others[name], gradient, msg=name)
    assert told[1] == pytest.approx(told[0], rel=1e-6)
    losses, _ = losses_and_gradients(model, batch()[1:2])
    assert losses["loss_mask"] == 0


def test_boxes_tell_no_quality():
    cfg = cfg_with("SOLOv2", "MODEL.SOLO.LOSS.SUPERVISION", "box")
    with pytest.raises(ValueError, match="asks how well masks fit"):
        CountsQuality.from_config(cfg)
