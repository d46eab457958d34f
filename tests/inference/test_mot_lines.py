"""Lines of MOTChallenge, by hand."""

import numpy as np
import torch
from detectron2.structures import Boxes, Instances

from solo.inference.mot_lines import mot_lines


def test_lines():
    found = Instances((60, 120))
    found.pred_boxes = Boxes([[0, 2, 10.5, 22], [100, 50, 120, 60]])
    found.scores = torch.tensor([0.9, 0.25])
    found.pred_classes = torch.tensor([1, 0])
    # The frame, the ids and the pixels of corners count from 1.
    assert mot_lines(0, found, np.array([4, 0]), (7, 30)) == [
        "1,5,1.00,3.00,10.50,20.00,0.90000,30,-1",
        "1,1,101.00,51.00,20.00,10.00,0.25000,7,-1",
    ]
    # A class whose name is a text goes by its number.
    (line, _) = mot_lines(11, found, np.array([4, 0]), ("cat", "dog"))
    assert line == "12,5,1.00,3.00,10.50,20.00,0.90000,1,-1"
    assert mot_lines(3, found[:0], np.zeros(0, dtype=int), (1, 2)) == []
