import numpy as np
import torch

from solo.data.augmentation.sample import Sample
from solo.layers.masks import measure_masks
from solo.structures.region import Region


def test_masks_are_measured_to_the_last_bit_as_they_would_be_whole():
    rng = np.random.default_rng(0)
    regions = []
    for number in range(20):
        width, height = rng.integers(1, 60, 2)
        pixels = rng.random((height, width)) < 0.3
        pixels[[0, -1]] = pixels[:, [0, -1]] = True  # its box is tight
        if number % 2:
            pixels = pixels.T
        left, top = rng.integers(0, 300, 2)
        regions.append(Region(int(left), int(top), pixels))
    instances = Sample(np.zeros((361, 367, 3), np.uint8), regions).instances()
    assert torch.equal(instances.gt_measures, measure_masks(instances.gt_masks.tensor))
    assert instances[3:5].gt_measures.shape == (2, 3)


def test_nothing_to_measure():
    sample = Sample(np.zeros((9, 8, 3), np.uint8), [])
    instances = sample.instances()
    assert instances.gt_measures.shape == (0, 3) and instances.gt_measures.dtype == torch.float64
    assert not sample.instances(with_masks=False).has("gt_measures")
