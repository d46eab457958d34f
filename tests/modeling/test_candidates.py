"""One wait for the device in place of three: the same instances, here on the CPU, where both ways round alike."""

import pytest
import torch

from solo.modeling.heads.device_decoding import DECODERS, device_decoder
from tests.conftest import build, make_cfg
from tests.modeling.test_postprocessing import SIZE, blobs, postprocessor, same


def scene(sharpness=3):
    """80 cells, 3 classes, a soft mask for each cell."""
    probabilities = torch.rand(80, 3, generator=torch.Generator().manual_seed(1)) ** sharpness
    return probabilities, blobs(80).__getitem__


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"nms": "mask"},
        {"nms_kernel": "linear", "update_thresh": 0.0},
        {"class_agnostic": True},
        {"max_candidates": 20},
        {"max_instances": 4},
        {"score_thresh": 0.7, "chunk_size": 7},
        {"strides": (150, 200)},  # specks among them
        {"score_thresh": 2.0},  # nothing
    ],
    ids=str,
)
def test_the_same_instances(keys):
    rule = postprocessor(**keys)
    probabilities, decode = scene()
    counted = []

    def decode_there(cells):
        counted.append(len(cells))
        return decode(cells)

    expected = rule(probabilities, decode, SIZE)
    same(rule(probabilities, decode, SIZE, decode_there), expected)
    assert (len(expected) > 3) == (keys.get("score_thresh") != 2.0)
    # So many in any case: of 240, as many as MAX_CANDIDATES.
    assert sum(counted) == keys.get("max_candidates", 240)


def test_more_candidates_than_enter_the_suppression():
    rule = postprocessor(pre_nms_topk=20)
    probabilities, decode = scene()
    assert (probabilities > rule.score_thresh).sum() > 20
    same(rule(probabilities, decode, SIZE, decode), rule(probabilities, decode, SIZE))


@torch.no_grad()
def test_masks_of_cells_that_only_the_device_knows(variant):
    head = build(make_cfg(variant)).head.eval()
    features = {
        name: torch.randn(2, 32, 64 // stride, 96 // stride)
        for name, stride in zip(("p2", "p3", "p4", "p5", "p6"), (4, 8, 16, 32, 64), strict=True)
    }
    masks = head(features).masks
    cells = torch.arange(0, head.grids.num_cells, 5)
    place = masks, 1, (16, 24)
    found = device_decoder(head, *place)(cells)
    torch.testing.assert_close(found, head.decoder(*place)(cells))


def test_a_head_that_decodes_in_another_way_is_asked_as_ever():
    head = build(make_cfg("SOLO")).head

    class Another(type(head)):
        def soft_masks(self, *arguments, **keys):
            return super().soft_masks(*arguments, **keys) / 2

    assert type(head).soft_masks in DECODERS
    head.__class__ = Another
    assert device_decoder(head, None, 0, (8, 8)) is None
