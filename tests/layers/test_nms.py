import pytest
import torch

from solo.layers import nms
from solo.layers.overlaps import mask_ious


def random_masks(count, seed=0):
    return torch.rand(count, 20, 30, generator=torch.Generator().manual_seed(seed)) > 0.5


def naive_matrix_nms(masks, classes, scores, kernel, sigma):
    """The formula of SOLOv2 section 3.3, one pair at a time."""

    def iou(i, j):
        if classes[i] != classes[j]:
            return 0.0
        union = (masks[i] | masks[j]).sum()
        return ((masks[i] & masks[j]).sum() / union).item() if union else 0.0

    def f(value):
        return torch.exp(torch.tensor(-sigma * value**2)) if kernel == "gaussian" else 1 - value

    decayed = scores.clone()
    for j in range(len(scores)):
        factors = [
            f(iou(i, j)) / f(max((iou(k, i) for k in range(i)), default=0.0)) for i in range(j)
        ]
        decayed[j] *= min([1.0, *factors])
    return decayed


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
def test_matrix_nms_equals_the_formula(kernel):
    masks = random_masks(12)
    classes = torch.tensor([0, 1, 0] * 4)
    scores = torch.rand(12).sort(descending=True).values
    actual = nms.matrix_nms(mask_ious(masks), classes, scores, kernel=kernel, sigma=2.0)
    torch.testing.assert_close(actual, naive_matrix_nms(masks, classes, scores, kernel, 2.0))


def test_a_copy_is_suppressed_by_the_linear_kernel():
    masks = random_masks(1).repeat(3, 1, 1)
    scores = torch.tensor([0.9, 0.8, 0.7])
    decayed = nms.matrix_nms(mask_ious(masks), torch.zeros(3), scores, kernel="linear")
    assert decayed.tolist() == pytest.approx([0.9, 0, 0])


def test_empty_masks_and_no_masks():
    masks = torch.zeros(2, 20, 30, dtype=torch.bool)
    scores = torch.tensor([0.9, 0.8])
    decayed = nms.matrix_nms(mask_ious(masks), torch.zeros(2), scores)
    assert torch.equal(decayed, scores)
    none = nms.matrix_nms(mask_ious(masks[:0]), torch.zeros(0), scores[:0])
    assert none.shape == (0,)


def test_unknown_kernel():
    with pytest.raises(ValueError, match="use one of gaussian, linear"):
        nms.matrix_nms(torch.ones(1, 1), torch.zeros(1), torch.ones(1), kernel="box")


def test_points_nms_by_hand():
    grid = torch.tensor([[0.1, 0.5, 0.2], [0.6, 0.3, 0.4], [0.6, 0.1, 0.4]])
    kept = nms.points_nms(grid[None, None])[0, 0]
    # A cell stays when it is at least its left, top and top-left neighbours: ties stay.
    expected = torch.tensor([[0.1, 0.5, 0.0], [0.6, 0.0, 0.0], [0.6, 0.0, 0.4]])
    assert torch.equal(kept, expected)
