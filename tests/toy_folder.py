"""A folder with all that the README's command lines name: photos, a video, data sets, runs of a tiny model that finds something."""

import json
from pathlib import Path

import cv2
import numpy as np
from detectron2.config import CfgNode

from solo.checkpoint import SOLOCheckpointer
from tests.export.conftest import lively_cfg, lively_model

SIZE = 64
PICTURES = (
    *(
        "photo.jpg",
        "photos/a.jpg",
        "photos/b.jpg",
        "scans/one/c.png",
        "datasets/digits-1/val/d.png",
    ),
    *("cats/images/a.jpg", "cats/images/b.jpg", "new/a.jpg", "new/b.jpg"),
)
ANNOTATIONS = ("cats/train.json", "cats.json", "new/labels.json")
RUNS = ("cats", "quickstart", "run_a", "run_b")


def write_toys(folder: Path) -> None:
    """Write them all."""
    random = np.random.default_rng(0)
    for name in PICTURES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture = random.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), picture)
    for name in ANNOTATIONS:
        (folder / name).write_text(json.dumps(_document()))
    _write_video(folder / "in.mp4", random)
    cfg = _cfg()
    (folder / "cats.yaml").write_text(cfg.dump())
    (folder / "my_parts.py").touch()
    for name in RUNS:
        _write_run(cfg, folder / "output" / name)


def _document() -> dict[str, list[dict[str, object]]]:
    """Two images with a cat each."""
    square = {"segmentation": [[8, 8, 40, 8, 40, 40, 8, 40]], "bbox": [8, 8, 32, 32], "area": 1024}
    fixed = {"category_id": 1, "iscrowd": 0, **square}
    return {
        "images": [
            {"id": number, "file_name": f"{name}.jpg", "height": SIZE, "width": SIZE}
            for number, name in enumerate("ab", 1)
        ],
        "annotations": [{"id": number, "image_id": number, **fixed} for number in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}],
    }


def _cfg() -> CfgNode:
    cfg = lively_cfg("SOLOv2")
    cfg.MODEL.SOLO.NUM_CLASSES = 1
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = (SIZE,), SIZE
    cfg.DATASETS.COCO_JSON = [["cats", "cats/train.json", "cats/images"]]
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = ("cats",)
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.OUTPUT_DIR = "output/cats"
    return cfg


def _write_run(cfg: CfgNode, folder: Path) -> None:
    """Write what training leaves behind."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(cfg.dump())
    logged = [{"iteration": number, "total_loss": 1.0, "lr": 0.01} for number in (19, 39)]
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, logged)))
    checkpointer = SOLOCheckpointer(lively_model(cfg), str(folder))
    checkpointer.save("model_final", class_names=["cat"])


def _write_video(path: Path, random: np.random.Generator) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 5.0, (SIZE, SIZE))
    for _ in range(3):
        writer.write(random.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))
    writer.release()
