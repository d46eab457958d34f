"""Batches for training, which an interrupted run continues exactly, and images for evaluation."""

from collections.abc import Sequence
from typing import Any

import cv2
import torch
from detectron2.config import CfgNode
from detectron2.data import build_detection_test_loader
from detectron2.data.build import trivial_batch_collator
from detectron2.utils import comm
from torch.utils.data import DataLoader

from solo.config.validity import check_batch_size
from solo.data.augmentation.build import build_multi_image
from solo.data.kept_records import keep_records
from solo.data.mapper import SOLODatasetMapper
from solo.data.progressive import build_small_first
from solo.data.sampler import TrainingBatchSampler
from solo.data.seeded_dataset import Mapper, SeededDataset
from solo.data.training_records import Record, aspect_groups, repeat_factors, training_records
from solo.errors import UserError, told_as

Item = dict[str, Any]


def build_train_loader(
    cfg: CfgNode, *, start_iteration: int = 0, mapper: Mapper | None = None
) -> DataLoader[Item]:
    """Build the endless batches of training.

    Batches and augmentations depend on SEED and the iteration only, whatever
    DATALOADER.NUM_WORKERS is: started at iteration k it yields what a loader started at 0 yields
    from its k-th batch on. With a negative SEED that holds within one run only.

    Args:
        cfg: The config; DATASETS.TRAIN, DATALOADER, INPUT, SEED, SOLVER.IMS_PER_BATCH and MAX_ITER
            matter.
        start_iteration: The first batch to yield.
        mapper: From a record to an item of the batch. None: ``SOLODatasetMapper(cfg)``. Only that
            class, and subclasses, can take part in mosaic, copy-paste and mixup.

    Returns:
        An iterable of lists of items: this worker's share of each batch.

    Raises:
        UserError: If the data cannot be trained on, or cannot be shared by the workers.
    """
    check_batch_size(cfg, comm.get_world_size())
    records = training_records(cfg)
    seed = cfg.SEED if cfg.SEED >= 0 else comm.shared_random_seed()
    sampler = _batch_sampler(cfg, records, seed, start_iteration)
    small_first = build_small_first(cfg)
    if small_first and mapper:
        raise UserError(
            "INPUT.PROGRESSIVE goes with solo's mapper: with one of yours set its SHARE to 0"
        )
    dataset = SeededDataset(
        records,
        mapper or SOLODatasetMapper(cfg, True),
        seed=seed,
        max_unreadable=cfg.DATALOADER.MAX_UNREADABLE,
        multi_image=build_multi_image(cfg),
        small_first=small_first,
    )
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
        worker_init_fn=_use_one_thread,
        pin_memory=_pins_images(cfg),
        # The loader draws from it; without it, from the generator that the model's layers use.
        generator=torch.Generator(),
    )


def build_test_loader(
    cfg: CfgNode, dataset_name: str, mapper: Mapper | None = None
) -> DataLoader[Item]:
    """Build the loader that goes once through a data set, one image at a time.

    Args:
        cfg: The config.
        dataset_name: As registered with detectron2.
        mapper: From a record to an item. None: ``SOLODatasetMapper(cfg, False)``.

    Raises:
        UserError: If the data set is not known, broken or empty.
    """
    keep_records(dataset_name)
    mapper = mapper or SOLODatasetMapper(cfg, False)
    with told_as(f"the data set {dataset_name} cannot be used"):
        loader = build_detection_test_loader(cfg, dataset_name, mapper=mapper)
    # detectron2 has no argument for it.
    loader.pin_memory = _pins_images(cfg)
    return loader


def _batch_sampler(
    cfg: CfgNode, records: Sequence[Record], seed: int, start: int
) -> TrainingBatchSampler:
    return TrainingBatchSampler(
        repeat_factors(cfg, records),
        batch_size=cfg.SOLVER.IMS_PER_BATCH,
        seed=seed,
        groups=aspect_groups(records) if cfg.DATALOADER.ASPECT_RATIO_GROUPING else None,
        start_batch=start,
        rank=comm.get_rank(),
        world_size=comm.get_world_size(),
    )


def _pins_images(cfg: CfgNode) -> bool:
    """Tell whether images are put where a GPU can read them while the CPU goes on."""
    return torch.device(cfg.MODEL.DEVICE).type == "cuda" and torch.cuda.is_available()


def _use_one_thread(worker: int) -> None:
    # As torch does in its workers: theirs is the parallelism. Not 1, which would wait for threads of
    # the process that forked this one, without end; 0 leaves them alone.
    cv2.setNumThreads(0)
