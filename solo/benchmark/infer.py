"""Inference, from the image file or tensor to run lengths and boxes."""

from collections.abc import Iterator
from typing import Any

import torch
from detectron2.config import CfgNode

from solo.benchmark.made_up import made_up_candidates
from solo.benchmark.models import (
    Workload,
    inference_stages,
    load_for_inference,
)
from solo.benchmark.synthetic import noise_image
from solo.benchmark.timing import Row, Stopwatch, measure
from solo.data import build_test_loader
from solo.modeling.precision import inference_precision

TIMED = (
    "Timed: one image at a time, from its tensor (with a data set: from its file) to COCO's run lengths\n"
    "and boxes at the original size; NMS has the overlaps of the masks, resize the boxes. Memory: the\n"
    "peak of the first run above the model and its input."
)


def benchmark_inference(
    cfg: CfgNode,
    workload: Workload,
    *,
    repeats: int = 10,
    dataset: str = "",
    progress: bool = False,
) -> list[Row]:
    """Measure inference stage by stage.

    Args:
        cfg: MODEL.WEIGHTS may be empty; masks are encoded whatever MASK_FORMAT says.
        workload: What the image is like, and how many candidates it has.
        repeats: How often, or how many images of the data set.
        dataset: Registered name; its images are taken instead of noise of `workload.size`.
        progress: Whether to show a bar.

    Raises:
        OSError: If a file cannot be read.
        UserError: If something cannot be built or measured.
    """
    workload.check()
    cfg = with_rle(cfg)
    model = load_for_inference(cfg)
    watch = Stopwatch(model.device)
    items = watch.each(_read(cfg, dataset), "load") if dataset else _noise(workload)

    def run() -> None:
        model([next(items)])

    with torch.no_grad(), made_up_candidates(model, workload), inference_precision(cfg):
        return measure(
            run,
            stages=inference_stages(model),
            device=model.device,
            repeats=repeats,
            watch=watch,
            progress=progress,
        )


def with_rle(cfg: CfgNode) -> CfgNode:
    """Return a copy of a config whose masks are encoded, and whose images this process reads."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.SOLO.TEST.MASK_FORMAT = "rle"
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg


def _noise(workload: Workload) -> Iterator[dict[str, Any]]:
    image = noise_image(workload.size, torch.Generator().manual_seed(0))
    height, width = workload.original
    while True:
        yield {"image": image, "height": height, "width": width}


def _read(cfg: CfgNode, dataset: str) -> Iterator[dict[str, Any]]:
    """Yield the images of a data set, again and again."""
    loader = build_test_loader(cfg, dataset)
    while True:
        for batch in loader:
            yield from batch
