"""Each object is shown once, whatever its masks are kept in."""

import pytest
import torch
from detectron2.structures import Boxes, Instances

from solo.layers.one_label import one_per_object
from solo.structures.run_lengths import encode_masks


def found(masks, scores, kind):
    count = len(scores)
    instances = Instances(
        masks.shape[1:],
        pred_boxes=Boxes(torch.arange(4.0 * count).reshape(count, 4)),
        scores=torch.tensor(scores),
        pred_classes=torch.arange(count),
    )
    instances.set(kind, masks if kind == "pred_masks" else encode_masks(masks))
    return instances


def strips(*ends):
    """Return masks that begin at the left and end at these columns; of (begin, end), between them."""
    masks = torch.zeros(len(ends), 3, 12, dtype=torch.bool)
    for mask, end in zip(masks, ends, strict=True):
        begin, end = end if isinstance(end, tuple) else (0, end)
        mask[:, begin:end] = True
    return masks


@pytest.mark.parametrize("kind", ["pred_masks", "pred_rles"])
class TestOnePerObject:
    def test_a_second_label_goes_whatever_its_class(self, kind):
        kept = one_per_object(found(strips(8, 7, (8, 12)), [0.9, 0.8, 0.7], kind))
        assert kept.pred_classes.tolist() == [0, 2] and kept.pred_boxes.tensor[1, 0] == 8
        assert len(kept.get(kind)) == 2

    def test_half_is_the_same_object_and_less_is_another(self, kind):
        assert len(one_per_object(found(strips(8, 4), [0.9, 0.8], kind))) == 1
        assert len(one_per_object(found(strips(9, 4), [0.9, 0.8], kind))) == 2

    def test_what_is_left_out_keeps_nothing_else_out(self, kind):
        # 12 and 8 are one object, so are 8 and 5, but 12 and 5 are not.
        kept = one_per_object(found(strips(12, 8, 5), [0.9, 0.8, 0.7], kind))
        assert kept.pred_classes.tolist() == [0, 2]

    def test_the_more_confident_stays_and_the_order_stays(self, kind):
        kept = one_per_object(found(strips((8, 12), 7, 8), [0.3, 0.5, 0.9], kind))
        assert kept.pred_classes.tolist() == [0, 2]

    def test_of_equal_scores_the_first_stays(self, kind):
        assert one_per_object(found(strips(8, 8), [0.5, 0.5], kind)).pred_classes.tolist() == [0]

    def test_nothing_and_masks_without_a_pixel(self, kind):
        assert len(one_per_object(found(strips(), [], kind))) == 0
        assert len(one_per_object(found(strips(0), [0.5], kind))) == 0
        kept = one_per_object(found(strips(0, 5, 0), [0.9, 0.5, 0.4], kind))
        assert kept.pred_classes.tolist() == [1]
        assert one_per_object(kept) is kept
