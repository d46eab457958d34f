"""Peak memory of one training step, ours beside mmdetection's: same model, image and objects.

Each side runs in a process of its own: the peak of its resident memory during the step, less what was
resident before the model was built. On the CPU, in float32, forward and backward, no optimizer.

    python benchmarks/train_memory.py
    python benchmarks/train_memory.py --model solov2 MODEL.SOLO.RECOMPUTE True
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

CONFIGS = {
    "solo": ("coco/solo_R_50_FPN_1x.yaml", "solo/solo_r50_fpn_1x_coco.py"),
    "decoupled": (
        "coco/decoupled_solo_R_50_FPN_1x.yaml",
        "solo/decoupled-solo_r50_fpn_1x_coco.py",
    ),
    "solov2": ("coco/solov2_R_50_FPN_1x.yaml", "solov2/solov2_r50_fpn_1x_coco.py"),
}


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=CONFIGS, default="solo")
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--width", type=int, default=1344)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--side", choices=("ours", "mmdet"), help=argparse.SUPPRESS)
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys of our side")
    args = parser.parse_args()
    if args.side:
        sys.stdout.write(json.dumps(measure(args)) + "\n")
        return
    results = {}
    for side in ("ours", "mmdet"):
        command = [sys.executable, __file__, "--side", side, *sys.argv[1:]]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results[side] = json.loads(output.splitlines()[-1])
        sys.stdout.write(f"{side:6s} {results[side]}\n")
    ratio = results["ours"]["peak_mb"] / results["mmdet"]["peak_mb"]
    sys.stdout.write(f"peak memory, ours / mmdet: {ratio:.2f}\n")


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Run one training step and return its peak memory in MB and its time in seconds."""
    step = (ours if args.side == "ours" else mmdets)(args)
    start = time.perf_counter()
    loss = step()
    loss.backward()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_mb": round(peak - BASE_MB), "seconds": round(seconds, 2), "loss": loss.item()}


def scene(args: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return boxes (M, 4), classes (M,) and ellipses (M, H, W) that both sides get."""
    generator = torch.Generator().manual_seed(0)
    size = torch.exp(torch.empty(args.objects, 2).uniform_(3.5, 5.8, generator=generator))
    frame = torch.tensor([args.width, args.height])
    low = torch.rand(args.objects, 2, generator=generator) * (frame - size).clamp(min=1)
    boxes = torch.cat([low, torch.minimum(low + size, frame)], dim=1)
    center, radius = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    x = (torch.arange(args.width) - center[:, :1]) / radius[:, :1]
    y = (torch.arange(args.height) - center[:, 1:]) / radius[:, 1:]
    masks = x[:, None, :].square() + y[:, :, None].square() < 1
    return boxes, torch.randint(80, (args.objects,), generator=generator), masks


def ours(args: argparse.Namespace) -> object:
    """Build our side."""
    from detectron2.modeling import build_model
    from detectron2.structures import BitMasks, Boxes, Instances

    from solo import model_zoo

    global BASE_MB
    cfg = model_zoo.get_config(CONFIGS[args.model][0])
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", *args.opts])
    boxes, classes, masks = scene(args)
    BASE_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    model = build_model(cfg).train()
    instances = Instances((args.height, args.width))
    instances.gt_boxes, instances.gt_classes = Boxes(boxes), classes
    instances.gt_masks = BitMasks(masks)
    image = torch.zeros(3, args.height, args.width, dtype=torch.uint8)
    return lambda: sum(model([{"image": image, "instances": instances}]).values())


def mmdets(args: argparse.Namespace) -> object:
    """Build mmdetection's side."""
    from detectron2.structures import Boxes, Instances
    from mmdet.structures import DetDataSample

    from tests.parity.mmdet_oracle import build_mmdet_detector, to_mmdet_truth

    global BASE_MB
    boxes, classes, masks = scene(args)
    BASE_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    model = build_mmdet_detector(CONFIGS[args.model][1]).train()
    instances = Instances((args.height, args.width))
    instances.gt_boxes, instances.gt_classes, instances.gt_masks = Boxes(boxes), classes, masks
    size = (args.height, args.width)
    sample = DetDataSample(
        metainfo={"img_shape": size, "ori_shape": size, "batch_input_shape": size}
    )
    sample.gt_instances = to_mmdet_truth(instances, size)
    image = torch.zeros(1, 3, *size)
    return lambda: sum(model.loss(image, [sample]).values())


BASE_MB = 0.0

if __name__ == "__main__":
    main()
