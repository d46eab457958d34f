"""Colours in LAB, against OpenCV's."""

import cv2
import numpy as np
import pytest
import torch

from solo.layers.lab import to_lab


def test_lab_equals_that_of_opencv():
    image = torch.randint(0, 256, (3, 24, 40), generator=torch.Generator().manual_seed(0))
    image[:, 0, :3] = torch.tensor([0, 255, 7])  # black, white, nearly black
    rgb = image.permute(1, 2, 0).numpy().astype(np.float32) / 255
    # Its own curve of sRGB OpenCV interpolates in a coarse table.
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    theirs = cv2.cvtColor(linear.astype(np.float32), cv2.COLOR_LRGB2LAB)
    expected = torch.from_numpy(theirs).permute(2, 0, 1)
    torch.testing.assert_close(to_lab(image), expected, atol=0.02, rtol=0)


def test_lab_by_hand():
    """Pure red of sRGB, as CIE 15 gives it: 53.24, 80.09, 67.20."""
    red = to_lab(torch.tensor([255.0, 0, 0]).view(3, 1, 1)).flatten()
    assert red.tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
