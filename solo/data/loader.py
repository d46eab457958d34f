"""Batches for training, which an interrupted run continues exactly, and images for evaluation."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetFromList,
    build_detection_test_loader,
    get_detection_dataset_dicts,
)
from detectron2.data.samplers import RepeatFactorTrainingSampler
from detectron2.utils import comm
from torch.utils.data import DataLoader, Dataset

from solo.config.validity import check_batch_size
from solo.data.augmentation import MultiImage, Sample, build_multi_image
from solo.data.catalog import check_registered, forget_records, keep_records
from solo.data.mapper import SOLODatasetMapper, UnreadableImageError
from solo.data.sampler import Draw, TrainingBatchSampler
from solo.data.seeding import derive_seeds, seeded_by
from solo.errors import UserError, told_as

logger = logging.getLogger(__name__)

Record = dict[str, Any]
Mapper = Callable[[Record], dict[str, Any]]


def build_train_loader(
    cfg: CfgNode, *, start_iteration: int = 0, mapper: Mapper | None = None
) -> DataLoader:
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
    sampler = TrainingBatchSampler(
        _repeat_factors(cfg, records),
        batch_size=cfg.SOLVER.IMS_PER_BATCH,
        seed=seed,
        groups=aspect_groups(records) if cfg.DATALOADER.ASPECT_RATIO_GROUPING else None,
        start_batch=start_iteration,
        rank=comm.get_rank(),
        world_size=comm.get_world_size(),
    )
    dataset = SeededDataset(
        records,
        mapper or SOLODatasetMapper(cfg, True),
        seed=seed,
        max_unreadable=cfg.DATALOADER.MAX_UNREADABLE,
        multi_image=build_multi_image(cfg),
    )
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=_as_list,
        worker_init_fn=_use_one_thread,
        pin_memory=_pins_images(cfg),
        # The loader draws from it; without it, from the generator that the model's layers use.
        generator=torch.Generator(),
    )


def build_test_loader(cfg: CfgNode, dataset_name: str, mapper: Mapper | None = None) -> DataLoader:
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


def training_records(cfg: CfgNode) -> list[Record]:
    """Return the records of DATASETS.TRAIN, after checking that they teach masks.

    Images without objects are left out where DATALOADER.FILTER_EMPTY_ANNOTATIONS says so.

    Raises:
        UserError: If there are none, or objects without a mask.
    """
    names = tuple(cfg.DATASETS.TRAIN)
    if not names:
        raise UserError("DATASETS.TRAIN is empty: name a registered data set to train on")
    check_registered(names)
    for name in set(names).intersection(cfg.DATASETS.TEST):
        keep_records(name)
    advice = " Check that the annotation file lists images, and objects that are not crowds"
    with told_as(f"DATASETS.TRAIN = {names} cannot be trained on", advice):
        records = get_detection_dataset_dicts(
            names, filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
        )
    for name in set(names).difference(cfg.DATASETS.TEST):
        forget_records(name)  # the loader has its own
    if not len(records):
        raise UserError(f"DATASETS.TRAIN = {names} holds no images to train on")
    check_masks(records, names)
    return records


def check_masks(records: Sequence[Record], names: Sequence[str]) -> None:
    """Stop if objects have no mask, before hours of training come to the first of them.

    Args:
        records: In detectron2's format.
        names: Of their data sets, for the message.

    Raises:
        UserError: If so; it tells data sets that hold boxes only from ones with gaps.
    """
    objects, without, first = 0, 0, ""
    for record in records:
        for item in record.get("annotations", ()):
            if item.get("iscrowd", 0):
                continue
            objects += 1
            if item.get("segmentation") is None:
                without += 1
                first = first or str(record.get("file_name"))
    if not without:
        return
    if without == objects:
        raise UserError(
            f"DATASETS.TRAIN = {tuple(names)} has boxes only: none of its {objects} annotations "
            "has a segmentation. SOLO learns from masks: annotate polygons or RLE masks"
        )
    raise UserError(
        f"{without} of {objects} annotations of DATASETS.TRAIN = {tuple(names)} have no "
        f"segmentation, the first in {first}: add their masks, remove them, or mark them iscrowd"
    )


def aspect_groups(records: Sequence[Record]) -> list[int]:
    """Return 1 for each record whose image is wider than high, and 0 for the others.

    Raises:
        UserError: If a record lacks width or height.
    """
    for record in records:
        if "width" not in record or "height" not in record:
            raise UserError(
                f"the record of {record.get('file_name')} has no width and height: add them, or "
                "set DATALOADER.ASPECT_RATIO_GROUPING to False"
            )
    return [int(record["width"] > record["height"]) for record in records]


class _TooManyUnreadableError(UnreadableImageError):
    """The limit is reached: no other image takes this one's place."""


class SeededDataset(Dataset[dict[str, Any]]):
    """Map records under random numbers that depend on the position in the run only.

    An image that cannot be read is replaced by another one, which depends on the position, too. So
    do the images that one is combined with.
    """

    def __init__(
        self,
        records: list[Record],
        mapper: Mapper,
        *,
        seed: int,
        max_unreadable: int,
        multi_image: MultiImage | None = None,
    ) -> None:
        """Set up the data set.

        Args:
            records: In detectron2's format.
            mapper: From a record to an item.
            seed: Of the run.
            max_unreadable: Unreadable images that may be met, by all processes of a loader together,
                before it stops.
            multi_image: What combines images, which takes a ``SOLODatasetMapper``. None: nothing.

        Raises:
            UserError: If the mapper cannot do that.
        """
        if multi_image and not isinstance(mapper, SOLODatasetMapper):
            raise UserError(
                f"the mapper is a {type(mapper).__name__}, but INPUT.MOSAIC, INPUT.COPY_PASTE and "
                "INPUT.MIXUP need a SOLODatasetMapper: give it your augmentations, subclass it, or "
                "set their PROB to 0"
            )
        # Serialised: forked workers then share the memory of the records.
        self._records = DatasetFromList(records, copy=False)
        self._mapper = mapper
        self._seed = seed
        self._max_unreadable = max_unreadable
        self._multi_image = multi_image
        # A flag per record, seen by all processes of the loader.
        self._unreadable = torch.zeros(len(records), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def __getitem__(self, draw: Draw | tuple[int, int]) -> dict[str, Any]:
        """Return the item of a draw.

        Raises:
            UnreadableImageError: If more images than allowed could not be read.
        """
        position, index = draw
        attempt = 0
        while True:
            record = self._records[index]
            try:
                with seeded_by(self._seed, position, attempt):
                    return self._map(record, position)
            except _TooManyUnreadableError:
                raise
            # OSError: what other mappers let through.
            except (UnreadableImageError, OSError) as error:
                self._note_unreadable(index, error)
            attempt += 1
            index = derive_seeds(1, self._seed, position, attempt)[0] % len(self._records)

    def _map(self, record: Record, position: int) -> dict[str, Any]:
        if not (self._multi_image and self._multi_image.is_on(position)):
            return self._mapper(record)
        sample = self._multi_image(record, self._mapper.sample, self._read_other)
        return self._mapper.item(record, sample)

    def _read_other(self, load: Callable[[Record], Sample]) -> Sample:
        """Return the sample of a random record, the first drawn whose image can be read."""
        while True:
            index = np.random.randint(len(self._records))
            try:
                return load(self._records[index])
            except (UnreadableImageError, OSError) as error:
                self._note_unreadable(index, error)

    def _note_unreadable(self, index: int, error: Exception) -> None:
        """Warn of an image the first time, and stop when there are too many."""
        if not self._unreadable[index]:
            logger.warning("skipped an image: %s", error)
        self._unreadable[index] = True
        number = int(self._unreadable.sum())
        if number > min(self._max_unreadable, len(self._records) - 1):
            name = self._records[index].get("file_name")
            raise _TooManyUnreadableError(
                f"{number} images could not be read, the last one {name} ({error}). "
                "Restore the files; if they may be missing, raise DATALOADER.MAX_UNREADABLE, which "
                f"is {self._max_unreadable}"
            ) from error


def _repeat_factors(cfg: CfgNode, records: Sequence[Record]) -> np.ndarray:
    """Return how often each record appears in an epoch, (n,) float."""
    name = cfg.DATALOADER.SAMPLER_TRAIN
    if name == "TrainingSampler":
        return np.ones(len(records))
    if name == "RepeatFactorTrainingSampler":
        factors = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
            records, cfg.DATALOADER.REPEAT_THRESHOLD
        )
        return factors.numpy()
    raise UserError(
        f"DATALOADER.SAMPLER_TRAIN is {name!r}: set it to 'TrainingSampler' or "
        "'RepeatFactorTrainingSampler'"
    )


def _pins_images(cfg: CfgNode) -> bool:
    """Tell whether images are put where a GPU can read them while the CPU goes on."""
    return torch.device(cfg.MODEL.DEVICE).type == "cuda" and torch.cuda.is_available()


def _as_list(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return items


def _use_one_thread(worker: int) -> None:
    # As torch does in its workers: theirs is the parallelism. Not 1, which would wait for threads of
    # the process that forked this one, without end; 0 leaves them alone.
    cv2.setNumThreads(0)
