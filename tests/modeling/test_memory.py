"""What bounds the memory, at the sizes that were trouble elsewhere; MB above what was there before."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from solo.benchmark.memory import peak_memory
from solo.layers.output import encoded_masks
from solo.modeling.grids import Grids
from solo.modeling.postprocessing import PostProcessor
from solo.structures.image_size import ImageSize
from tests.conftest import build, make_cfg, training_item

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def peak(name, *args):
    """The peak of what a function of this module returns, warmed up, in a process of its own.

    A process that has done much keeps what was freed, in pieces, and would count them again.
    """
    code = f"from tests.modeling import test_memory; test_memory.print_peak('{name}', *{args})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    if (number := done.stdout.split()[-1]) == "None":
        pytest.skip("the system does not tell the peak of the memory of a process")
    return float(number)


def print_peak(name, *args):
    run = globals()[name](*args)
    run()  # libraries allocate once
    print(peak_memory(run, CPU))


def disks(count, height, width, radius):
    """(count, height, width) soft masks, one after the other along the diagonal."""
    at = torch.linspace(0.1, 0.9, count).view(-1, 1, 1)
    rows, columns = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    distance = ((rows - at * height).square() + (columns - at * width).square()).sqrt()
    return (radius - distance).sigmoid()


def postprocessor():
    cfg = make_cfg()
    cfg.MODEL.SOLO.TEST.MASK_FORMAT = "rle"
    return PostProcessor.from_config(cfg, Grids((40, 36)), (8, 8))


def two_thousand_candidates():
    probabilities = torch.zeros(2896, 1)
    probabilities[:2000] = torch.linspace(0.2, 0.9, 2000).view(-1, 1)
    size = ImageSize((800, 1344), (800, 1333), (480, 800))
    return partial(
        postprocessor(), probabilities, lambda cells: disks(len(cells), 200, 336, 6), size
    )


def test_two_thousand_candidates():
    """At 800 x 1344 their soft masks would be 540 MB, and their full-size masks 17 GB."""
    assert peak("two_thousand_candidates") < 300


def large_photograph():
    size = ImageSize((800, 1216), (800, 1200), (4000, 6000))
    soft = disks(100, 200, 304, 12)
    soft[::25] = disks(4, 200, 304, 100)
    return lambda: encoded_masks(soft, size, 0.5)


def test_a_hundred_detections_on_a_large_photograph():
    """Their masks have 2.4 GB, in float32 9.6 GB."""
    # One mask of 24 million pixels in float32, its input and its bytes.
    assert peak("large_photograph") < 300


def training_step(recompute):
    cfg = make_cfg()
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 2000]] * 5
    cfg.MODEL.SOLO.NUM_GRIDS = [40, 36, 24, 16, 12]
    cfg.MODEL.SOLO.RECOMPUTE = recompute
    boxes = [(x % 20 * 48, x // 20 * 48, x % 20 * 48 + 40, x // 20 * 48 + 40) for x in range(300)]
    item = training_item(boxes, [0] * 300, size=(800, 1024))
    model = build(cfg)
    return lambda: sum(model([item]).values()).backward()


@pytest.mark.slow
def test_three_hundred_objects_in_one_training_image():
    """Without RECOMPUTE, the soft masks of all their cells: 1.7 GB."""
    peaks = {name: peak("training_step", name) for name in ("none", "cheap", "all")}
    assert peaks["all"] < 600
    assert peaks["cheap"] < peaks["none"] / 2
