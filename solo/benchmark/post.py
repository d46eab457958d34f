"""What follows the network: from the outputs of the head to run lengths and boxes."""

import copy

import torch
from detectron2.config import CfgNode
from torch import nn

from solo.benchmark.infer import with_rle
from solo.benchmark.made_up import made_up_candidates
from solo.benchmark.models import Workload, finding_stages, load_for_inference
from solo.benchmark.synthetic import noise_image
from solo.benchmark.timing import Row, measure
from solo.layers.output import ImageSize
from solo.modeling.heads import HeadOutputs

TIMED = (
    "Timed: from the outputs of the head for one image to COCO's run lengths and boxes at the original\n"
    "size; NMS has the overlaps of the masks, resize the boxes. Memory: the peak of the first run above\n"
    "the model and these outputs."
)


def benchmark_post(
    cfg: CfgNode, workload: Workload, *, repeats: int = 10, progress: bool = False
) -> list[Row]:
    """Measure what follows the network, stage by stage.

    Args:
        cfg: MODEL.WEIGHTS may be empty; masks are encoded whatever MASK_FORMAT says.
        workload: What the image is like, and how many candidates it has.
        repeats: How often.
        progress: Whether to show a bar.

    Raises:
        OSError: If the weights cannot be read.
        UserError: If something cannot be built or measured.
    """
    workload.check()
    model = load_for_inference(with_rle(cfg))
    with torch.no_grad():
        padded, outputs = run_network(model, workload)
        size = ImageSize(padded, workload.size, workload.original)
        return measure(
            lambda given: model.find(given, [size]),
            # A head may keep with its outputs what it has decoded.
            prepare=lambda: copy.deepcopy(outputs),
            stages=finding_stages(model),
            device=model.device,
            repeats=repeats,
            progress=progress,
        )


@torch.no_grad()
def run_network(model: nn.Module, workload: Workload) -> tuple[tuple[int, int], HeadOutputs]:
    """Return the size of the padded input, and the outputs of the head for one image."""
    image = noise_image(workload.size, torch.Generator().manual_seed(0))
    images = model.preprocess([{"image": image}]).tensor
    with made_up_candidates(model, workload):
        outputs = model.run_network(images)
    return tuple(images.shape[-2:]), outputs
