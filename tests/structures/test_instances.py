"""Which instances are kept, and what their classes are called."""

import torch
from detectron2.structures import Boxes, Instances

from solo.structures.instances import class_name, select_confident


def test_the_confident_are_kept_with_all_their_fields():
    fields = {"scores": torch.tensor([0.9, 0.1, 0.3]), "pred_rles": ["a", "b", "c"]}
    instances = Instances((4, 4), pred_boxes=Boxes(torch.arange(12.0).reshape(3, 4)), **fields)
    kept = select_confident(instances, 0.3)
    assert kept.pred_rles == ["a", "c"]
    assert kept.pred_boxes.tensor[:, 0].tolist() == [0, 8]
    assert select_confident(instances, 0.95).pred_rles == []


def test_names_of_classes():
    assert class_name(0, ["zero"]) == "zero"
    assert class_name(3, None) == class_name(3, ["zero"]) == "class 3"
