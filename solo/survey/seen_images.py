"""What training hands the model: its config, its batches, and the objects in them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances

from solo.config.load import load_config
from solo.errors import UserError
from solo.modeling.ground_truth import ground_truth
from solo.modeling.meta_arch import SOLO

Batch = list[dict[str, Any]]


class SeenImage(NamedTuple):
    """One image of a batch, as the model sees it."""

    item: dict[str, Any]  # as the loader hands it out
    truth: Instances  # its objects, gt_masks as (M, h, w) bool
    size: tuple[int, int]  # height and width in pixels, padded to the batch


def analysis_config(
    config_file: str | Path, opts: Sequence[str] = (), dataset: str = ""
) -> CfgNode:
    """Return the config of a training run, on the CPU, without touching OUTPUT_DIR.

    Args:
        config_file: A yaml file.
        opts: KEY VALUE KEY VALUE ..., laid over the file.
        dataset: Registered name to look at instead of DATASETS.TRAIN. It says how many classes
            there are, too.

    Returns:
        The config, frozen. MODEL.SOLO.NUM_CLASSES may be 0 still.

    Raises:
        FileNotFoundError: There is no such config file.
        UserError: See `solo.config.load.load_config`.
    """
    # Mistakes in the data are told by the loader, which comes before the model and its classes.
    cfg = load_config(
        config_file, opts, device="cpu", weights="", dataset=dataset, needs_classes=False
    )
    cfg.defrost()
    # The batches are the same with any number; here, a mistake is then one of this process.
    cfg.DATALOADER.NUM_WORKERS = 0
    # Without a seed each run sees other images. Here, twice the same question gets one answer.
    cfg.SEED = max(cfg.SEED, 0)
    cfg.freeze()
    return cfg


def take_images(loader: Iterable[Batch], num_images: int) -> Iterator[Batch]:
    """Yield batches until they hold so many images; of these, the last may hold more.

    Raises:
        UserError: Fewer than one image is asked for.
    """
    if num_images < 1:
        raise UserError(f"Cannot look at {num_images} images: ask for at least one.")
    for batch in loader:
        yield batch
        num_images -= len(batch)
        if num_images <= 0:
            return


def seen_images(loader: Iterable[Batch], model: SOLO, num_images: int) -> Iterator[SeenImage]:
    """Yield the first images of training as the model sees them.

    Args:
        loader: Of batches for training.
        model: Its weights do not matter.
        num_images: How many images.

    Raises:
        UserError: Fewer than one image is asked for, or the data cannot be trained on.
    """
    for batch in take_images(loader, num_images):
        height, width = model.preprocess(batch).tensor.shape[-2:]
        for item in batch[:num_images]:
            yield SeenImage(item, ground_truth(item, torch.device("cpu")), (height, width))
        num_images -= len(batch)
