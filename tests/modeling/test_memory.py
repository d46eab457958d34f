"""What bounds the memory, at the sizes that were trouble elsewhere; MB above what was there before."""

import ctypes
from functools import partial

import pytest
import torch

from solo.benchmark.memory import peak_memory
from solo.layers.output import encoded_masks
from solo.modeling.grids import Grids
from solo.modeling.postprocessing import PostProcessor
from solo.structures.image_size import ImageSize
from tests.conftest import build, make_cfg, training_item

CPU = torch.device("cpu")


# mallopt's M_MMAP_THRESHOLD: from so many bytes on, memory that is freed goes back to the system at once.
THRESHOLD, SMALL, LARGE = -3, 1 << 16, 1 << 25


@pytest.fixture(autouse=True)
def freed_memory_goes_back():
    """Else a long process keeps what earlier tests freed, in pieces, and its peak is not that of one run."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        pytest.skip("the allocator is not glibc's")
    libc.mallopt(THRESHOLD, SMALL)
    yield
    libc.mallopt(THRESHOLD, LARGE)


def peak(function):
    result = peak_memory(function, CPU)
    if result is None:
        pytest.skip("the system does not tell the peak of the memory of a process")
    return result


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


def test_two_thousand_candidates():
    """At 800 x 1344 their soft masks would be 540 MB, and their full-size masks 17 GB."""
    probabilities = torch.zeros(2896, 1)
    probabilities[:2000] = torch.linspace(0.2, 0.9, 2000).view(-1, 1)

    def decode(cells):
        return disks(len(cells), 200, 336, 6)

    size = ImageSize((800, 1344), (800, 1333), (480, 800))
    find = partial(postprocessor(), probabilities, decode, size)
    find()  # libraries allocate once
    assert peak(find) < 300


def test_a_hundred_detections_on_a_large_photograph():
    """Their masks have 2.4 GB, in float32 9.6 GB."""
    size = ImageSize((800, 1216), (800, 1200), (4000, 6000))
    soft = disks(100, 200, 304, 12)
    soft[::25] = disks(4, 200, 304, 100)
    # One mask of 24 million pixels in float32, its input and its bytes.
    assert peak(lambda: encoded_masks(soft, size, 0.5)) < 300
    assert len(encoded_masks(soft, size, 0.5)[0]) == 100


@pytest.mark.slow
def test_three_hundred_objects_in_one_training_image():
    """Without RECOMPUTE, the soft masks of all their cells: 1.7 GB."""
    cfg = make_cfg()
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 2000]] * 5
    cfg.MODEL.SOLO.NUM_GRIDS = [40, 36, 24, 16, 12]
    boxes = [(x % 20 * 48, x // 20 * 48, x % 20 * 48 + 40, x // 20 * 48 + 40) for x in range(300)]
    item = training_item(boxes, [0] * 300, size=(800, 1024))

    def step():
        sum(model([item]).values()).backward()

    peaks = {}
    for recompute in ("none", "cheap", "all"):
        cfg.MODEL.SOLO.RECOMPUTE = recompute
        model = build(cfg)
        step()
        peaks[recompute] = peak(step)
    assert peaks["all"] < 600
    assert peaks["cheap"] < peaks["none"] / 2
