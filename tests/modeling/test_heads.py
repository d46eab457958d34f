"""The contract of the heads, and what a head of one's own needs."""

import copy
from dataclasses import replace

import pytest
import torch
from detectron2.config import configurable

from solo.errors import UserError
from solo.layers.masks import resize_soft_masks
from solo.modeling.heads import SOLO_HEAD_REGISTRY, Head, HeadConfig, HeadOutputs
from solo.modeling.heads.base import resize
from tests.conftest import build, make_cfg, training_item


@torch.no_grad()
def outputs_of(model):
    images = model.preprocess([training_item(), training_item(seed=1)])
    return model.run_network(images.tensor)


@torch.no_grad()
def test_a_decoder_called_in_chunks_equals_one_call(variant):
    model = build(make_cfg(variant)).eval()
    outputs = outputs_of(model)
    cells = torch.randperm(model.head.grids.num_cells, generator=torch.Generator().manual_seed(0))
    expected = model.head.soft_masks(outputs.masks, 1, cells, (16, 24))
    decode = model.head.decoder(outputs.masks, 1, (16, 24))
    actual = torch.cat([decode(chunk) for chunk in cells.split(10)])
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)
    # Once more, now that a head may remember them.
    torch.testing.assert_close(decode(cells), expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_what_a_decoder_remembers_is_its_own(variant):
    """Neither the outputs nor the head change, and another image has another decoder."""
    model = build(make_cfg(variant)).eval()
    outputs = outputs_of(model)
    before = copy.deepcopy(outputs)
    cells = torch.arange(20)
    first, second = (model.head.decoder(outputs.masks, image, (16, 16))(cells) for image in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, model.head.decoder(before.masks, 0, (16, 16))(cells))
    assert repr(outputs) == repr(before)


class PlainHead(Head):
    """A mask of its own for each cell, without towers of masks: as little as a head may be."""

    default_collisions = "smallest"

    @configurable
    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.category_predictor = self._predictor(config.num_classes)
        self.mask_predictor = self._predictor(self.grids.num_cells)

    @property
    def mask_strides(self):
        return (4,) * self.grids.num_levels

    def forward(self, features):
        logits = [
            self.category_predictor(self.category_tower(resize(feature, (side, side))))
            for feature, side in zip(self.level_features(features), self.grids.sides, strict=True)
        ]
        return HeadOutputs(logits, self.mask_predictor(self.category_tower(features["p2"])))

    def soft_masks(self, masks, image, cells, size=None):
        soft = masks[image, cells].sigmoid()
        return resize_soft_masks(soft, size) if size else soft


@pytest.fixture
def own_head():
    SOLO_HEAD_REGISTRY.register(PlainHead)
    yield "PlainHead"
    del SOLO_HEAD_REGISTRY._obj_map["PlainHead"]


def test_a_head_of_ones_own_trains_and_finds(own_head):
    cfg = make_cfg("SOLO")
    cfg.MODEL.SOLO.HEAD, cfg.MODEL.SOLO.QUALITY.ENABLED = own_head, True
    with pytest.raises(
        UserError, match=r"PlainHead does not say how well .*QUALITY.ENABLED to False"
    ):
        build(cfg)
    cfg.MODEL.SOLO.QUALITY.ENABLED = False
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    model = build(cfg)
    assert model.assigner.collisions == "smallest"
    sum(model([training_item()]).values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    torch.nn.init.normal_(model.head.mask_predictor.bias)  # before, all masks are empty
    with torch.no_grad():
        (found,) = model.eval()([training_item()])
    assert len(found["instances"]) > 0


def test_lists_of_different_lengths_are_refused():
    config = build(make_cfg()).head.config
    with pytest.raises(ValueError, match="5 IN_FEATURES, 2 STRIDES and 5 NUM_GRIDS"):
        replace(config, strides=(8, 8))
