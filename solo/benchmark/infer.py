"""Inference, from the image file or tensor to run lengths and boxes."""

from collections.abc import Iterator
from typing import Any

import torch
from detectron2.config import CfgNode

from solo.benchmark.models import check_positive
from solo.benchmark.sizes import INPUT, ORIGINAL, Size
from solo.benchmark.synthetic import noise_image
from solo.benchmark.timing import Row, measure
from solo.data import build_test_loader
from solo.layers.stages import stage
from solo.modeling.meta_arch import SOLO
from solo.modeling.precision import inference_precision

TIMED = (
    "Timed: one image at a time, from its tensor (with a data set: from its file) to COCO's run lengths\n"
    "and boxes at the original size; NMS has the overlaps of the masks, resize the boxes. Memory: the\n"
    "peak of the first run above the model and its input."
)


def benchmark_inference(
    model: SOLO,
    cfg: CfgNode,
    *,
    size: Size = INPUT,
    original: Size = ORIGINAL,
    repeats: int = 10,
    dataset: str = "",
    progress: bool = False,
) -> list[Row]:
    """Measure inference stage by stage.

    Args:
        model: Of :func:`solo.benchmark.models.load_for_inference`.
        cfg: That it was built from, see :func:`solo.benchmark.models.with_rle`.
        size: Of the input, an image of noise.
        original: Of the image that masks are brought to.
        repeats: How often, or how many images of the data set.
        dataset: Registered name; its images are taken instead of noise.
        progress: Whether to show a bar.

    Raises:
        OSError: If a file cannot be read.
        UserError: If something cannot be measured.
    """
    check_positive(size=size, original=original)
    if dataset:
        take = stage("load")(_read(cfg, dataset).__next__)
    else:
        take = _noise(size, original).__next__
    with torch.no_grad(), inference_precision(cfg):
        return measure(
            lambda: model([take()]), device=model.device, repeats=repeats, progress=progress
        )


def _noise(size: Size, original: Size) -> Iterator[dict[str, Any]]:
    image = noise_image(size, torch.Generator().manual_seed(0))
    while True:
        yield {"image": image, "height": original[0], "width": original[1]}


def _read(cfg: CfgNode, dataset: str) -> Iterator[dict[str, Any]]:
    """Yield the images of a data set, again and again."""
    loader = build_test_loader(cfg, dataset)
    while True:
        for batch in loader:
            yield from batch
