import pytest
import torch
from head_outputs import category_logits, object_features, picks, profiles

from solo.layers.masks import masks_to_boxes
from solo.modeling.postprocessing import cell_probabilities


@pytest.mark.parametrize("candidates", [0, 1, 37, 240])
def test_exactly_so_many_candidates_survive(candidates):
    logits = category_logits([8, 7, 5], num_classes=6, candidates=candidates)
    assert [level.shape for level in logits] == [(1, 6, side, side) for side in (8, 7, 5)]
    assert (cell_probabilities(logits) > 0.1).sum() == candidates


def test_too_many_candidates_are_refused():
    with pytest.raises(ValueError, match="room for 0 to 4"):
        category_logits([4], num_classes=1, candidates=5)


@pytest.mark.parametrize("stride", [4, 8])
def test_masks_are_compact_and_of_ordinary_sizes(stride):
    def masks(filling):
        feature = object_features(16, (512 // stride, 640 // stride), stride, filling=filling)
        kernels = picks(50, range(16), 16)
        return torch.einsum("ce,ehw->chw", kernels, feature) > 0

    areas = masks(False).flatten(1).sum(dim=1) * stride**2
    boxes = masks_to_boxes(masks(False)) * stride
    extents = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    assert areas.min() > 500 and areas.float().median() < 60_000
    # An ellipse fills pi / 4 of its box.
    assert (areas / extents).median() == pytest.approx(0.785, abs=0.06)
    assert masks(True).float().mean() > 0.5 > 2 * masks(False).float().mean()


def test_products_of_columns_and_rows_are_boxes():
    columns, rows = profiles(16, (64, 80), 8).split(8)
    assert torch.allclose(columns, columns[:, :1])
    assert torch.allclose(rows, rows[:, :, :1])
    share = ((columns > 0) & (rows > 0)).float().mean()
    assert 0 < share < 0.2
