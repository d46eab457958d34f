"""Models, data and trainers that take milliseconds; importable by spawned processes."""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils import comm
from torch import Tensor, nn

from solo.config import get_cfg
from solo.training import Trainer

CLASSES = ["round", "square"]
if "toy_train" not in DatasetCatalog.list():
    DatasetCatalog.register("toy_train", list)
    MetadataCatalog.get("toy_train").thing_classes = CLASSES


@META_ARCH_REGISTRY.register()
class ToyModel(nn.Module):
    """Two losses, a normalisation layer, and random numbers if asked for."""

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        self.drop = nn.Dropout(cfg.MODEL.DROPOUT)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU())
        self.category = nn.Conv2d(4, len(CLASSES), 1)
        self.mask = nn.Conv2d(4, 1, 1)

    def forward(self, batch: list[dict[str, Any]]) -> dict[str, Tensor]:
        features = self.drop(self.stem(torch.stack([item["image"] for item in batch])))
        return {
            "loss_category": self.category(features).square().mean(),
            "loss_mask": (self.mask(features) - 1).square().mean(),
        }


def toy_config(output_dir: Path, **solver: Any) -> CfgNode:
    """Return a config for the toys, whose SOLVER is changed by the keywords."""
    cfg = get_cfg()
    cfg.MODEL.DROPOUT = 0.0
    cfg.MODEL.META_ARCHITECTURE = "ToyModel"
    return for_toys(cfg, output_dir, **solver)


def for_toys(cfg: CfgNode, output_dir: Path, **solver: Any) -> CfgNode:
    """Change a config for the data of the toys, and its SOLVER by the keywords."""
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.DATASETS.TRAIN = ("toy_train",)
    cfg.DATASETS.TEST = ()
    cfg.OUTPUT_DIR = str(output_dir)
    cfg.SEED = 3
    cfg.SOLVER.MAX_ITER = 6
    cfg.SOLVER.STEPS = (4,)
    cfg.SOLVER.WARMUP_ITERS = 2
    cfg.SOLVER.CHECKPOINT_PERIOD = 2
    cfg.SOLVER.IMS_PER_BATCH = 4
    cfg.SOLVER.BASE_LR = 0.05
    for key, value in solver.items():
        cfg.SOLVER[key] = value
    output_dir.mkdir(parents=True, exist_ok=True)
    return cfg


def toy_batches(cfg: CfgNode, start_iteration: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the share of this worker of batches that depend on the iteration only."""
    iteration = start_iteration
    while True:
        noise = torch.Generator().manual_seed(iteration)
        images = torch.randn(cfg.SOLVER.IMS_PER_BATCH, 3, 8, 8, generator=noise)
        names = [f"{iteration}_{k}.png" for k in range(len(images))]
        batch = [{"image": i, "file_name": n} for i, n in zip(images, names, strict=True)]
        yield batch[comm.get_rank() :: comm.get_world_size()]
        iteration += 1


class ToyTrainer(Trainer):
    """A trainer on the toys, with a place to break in and evaluations that are given."""

    def __init__(self, cfg: CfgNode, aps: tuple[float, ...] = ()) -> None:
        torch.manual_seed(cfg.SEED)
        self.evaluated_at: list[int] = []
        self.aps = iter(aps)
        super().__init__(cfg)

    def build_train_loader(self, start_iteration: int) -> Iterator[list[dict[str, Any]]]:
        return toy_batches(self.cfg, start_iteration)

    def check_evaluation(self) -> None:
        pass

    def evaluate(self) -> OrderedDict[str, Any]:
        self.evaluated_at.append(self.iter)
        self._results = OrderedDict(segm={"AP": next(self.aps)})
        return self._results


def train(cfg: CfgNode, *, resume: bool = False, **kwargs: Any) -> ToyTrainer:
    """Train the toys as `train_net.py` trains models."""
    trainer = ToyTrainer(cfg, **kwargs)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return trainer


def solov2_config(output_dir: Path, **solver: Any) -> CfgNode:
    """Return a config for a small SOLOv2 whose images do not influence each other."""
    cfg = get_cfg()
    root = Path(__file__).parents[2]
    cfg.merge_from_file(str(root / "configs/quickstart/solov2_digits.yaml"))
    cfg.MODEL.SOLO.IN_FEATURES, cfg.MODEL.SOLO.STRIDES = ["p3", "p4", "p5"], [8, 16, 32]
    cfg.MODEL.SOLO.NUM_GRIDS = [16, 12, 8]
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 64], [52, 88], [72, 512]]
    for_toys(cfg, output_dir, **solver)
    cfg.MODEL.SOLO.NUM_CLASSES = len(CLASSES)
    cfg.MODEL.RESNETS.NORM = cfg.MODEL.FPN.NORM = "GN"
    cfg.MODEL.SOLO.NORM = cfg.MODEL.SOLO.MASK_FEATURE.NORM = "GN"
    # What speeds the quickstart up has tests of its own.
    cfg.SOLVER.EMA.ENABLED, cfg.INPUT.PROGRESSIVE.SHARE = False, 0.0
    # Rounding to bfloat16 would hide what the comparison is about.
    cfg.SOLVER.AMP.ENABLED = False
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.SOLO.CONV_DIM = cfg.MODEL.SOLO.MASK_FEATURE.CONV_DIM = 32
    cfg.MODEL.SOLO.MASK_FEATURE.DIM = 32
    return cfg


def learn_from_boxes(cfg: CfgNode) -> CfgNode:
    """Change a config to one that takes boxes, with a pairwise term from the first step on, and return it."""
    cfg.MODEL.SOLO.LOSS.SUPERVISION = "box"
    cfg.MODEL.SOLO.BOX_SUPERVISION.WARMUP_ITERS = 0
    cfg.MODEL.SOLO.BOX_SUPERVISION.COLOR_THRESH = 1e-4  # the images are noise
    return cfg


def draw_rectangles(count: int, seed: int) -> dict[str, Any]:
    """Return an image of noise, 64 x 64, with so many annotated rectangles."""
    noise = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 32, (count, 2), generator=noise)
    sizes = torch.randint(12, 32, (count, 2), generator=noise)
    masks = torch.zeros(count, 64, 64, dtype=torch.bool)
    for mask, (x, y), (w, h) in zip(masks, corners, sizes, strict=True):
        mask[y : y + h, x : x + w] = True
    instances = Instances((64, 64))
    instances.gt_masks = BitMasks(masks)
    instances.gt_boxes = Boxes(torch.cat([corners, corners + sizes], dim=1).float())
    instances.gt_classes = torch.randint(0, len(CLASSES), (count,), generator=noise)
    return {"image": torch.rand(3, 64, 64, generator=noise) * 255, "instances": instances}


class RectangleTrainer(ToyTrainer):
    """A trainer on images of 3, 0, 1 and 2 rectangles: workers with unequal shares."""

    def build_train_loader(self, start_iteration: int) -> Iterator[list[dict[str, Any]]]:
        while True:
            batch = [draw_rectangles(count, seed) for seed, count in enumerate((3, 0, 1, 2))]
            yield batch[comm.get_rank() :: comm.get_world_size()]
