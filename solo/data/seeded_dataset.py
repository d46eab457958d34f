"""Training items as a function of the position in the run, whatever images cannot be read."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from detectron2.data import DatasetFromList
from torch.utils.data import Dataset

from solo.data.augmentation.multi_image import Images, MultiImage
from solo.data.augmentation.sample import Sample
from solo.data.mapper import SOLODatasetMapper
from solo.data.progressive import SmallFirst
from solo.data.sampler import Draw
from solo.data.seeding import derive_seeds, seeded_by
from solo.data.training_records import Record
from solo.errors import UserError
from solo.images import UnreadableImageError

logger = logging.getLogger(__name__)

Mapper = Callable[[Record], dict[str, Any]]


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
        small_first: SmallFirst | None = None,
    ) -> None:
        """Set up the data set.

        Args:
            records: In detectron2's format.
            mapper: From a record to an item.
            seed: Of the run.
            max_unreadable: Unreadable images that may be met, by all processes of a loader together,
                before it stops.
            multi_image: What combines images, which takes a ``SOLODatasetMapper``. None: nothing.
            small_first: What maps the first records in the mapper's place. None: nothing.

        Raises:
            UserError: If the mapper cannot do that.
        """
        if multi_image and not isinstance(mapper, SOLODatasetMapper):
            raise UserError(
                f"the mapper is a {type(mapper).__name__}, but to combine images "
                f"({multi_image.keys}) you need a SOLODatasetMapper: give it your augmentations, "
                "subclass it, or set their PROB to 0"
            )
        # Serialised: forked workers then share the memory of the records.
        self._records = DatasetFromList(records, copy=False)
        self._mapper = mapper
        self._seed = seed
        self._max_unreadable = max_unreadable
        self._multi_image = multi_image
        self._small_first = small_first
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
        mapper, multi_image = self._mapper, self._multi_image
        if self._small_first and position < self._small_first.end:
            mapper, multi_image, _ = self._small_first
        if not (multi_image and multi_image.is_on(position)):
            return mapper(record)
        assert isinstance(mapper, SOLODatasetMapper)  # as was checked at first
        sample = multi_image(Images(record, mapper.sample, self._read_other))
        return mapper.item(record, sample)

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
