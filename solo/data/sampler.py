"""Which images each training batch holds: a function of seed and iteration only."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """One image of a batch.

    Attributes:
        position: Its place in the run, counted over all workers and batches. No two are equal.
        record: The number of its record in the data set.
    """

    position: int
    record: int


class TrainingBatchSampler(Sampler[list[Draw]]):
    """Yield this worker's share of each batch, without end.

    Batch b of the whole run consists of positions b * batch_size to (b + 1) * batch_size - 1, of
    which worker r of w takes every w-th from the r-th on. So the images of a batch depend neither
    on the number of workers nor on where a run was interrupted.
    """

    def __init__(
        self,
        repeat_factors: Sequence[float],
        *,
        batch_size: int,
        seed: int,
        groups: Sequence[int] | None = None,
        start_batch: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Set up the sequence.

        Args:
            repeat_factors: How often each record appears in an epoch, on average: one number per
                record, all 1 for plain shuffling.
            batch_size: Images per batch, over all workers.
            seed: Equal on all workers.
            groups: A number per record; a batch then holds records of one group only, over all
                workers, so that these stay in step. None: no groups.
            start_batch: The first batch to yield.
            rank: Of this worker.
            world_size: Number of workers.

        Raises:
            ValueError: If there are no records, or the batch cannot be shared out evenly.
        """
        self._repeats = np.asarray(repeat_factors, dtype=np.float64)
        self._groups = None if groups is None else np.asarray(groups)
        if not self._repeats.sum() > 0:
            raise ValueError("there are no records to draw from")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(
                f"{batch_size} images per batch cannot be shared evenly by {world_size} workers"
            )
        self._batch_size = batch_size
        self._seed = seed
        self._start = start_batch
        self._rank = rank
        self._world_size = world_size

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the batches from the first on."""
        # Batches that were trained on before are drawn again, and dropped: without images, a
        # million positions take about a second.
        for number, batch in enumerate(islice(self._batches(), self._start, None), self._start):
            first = number * self._batch_size
            share = range(self._rank, self._batch_size, self._world_size)
            yield [Draw(first + slot, int(batch[slot])) for slot in share]

    def _batches(self) -> Iterator[Sequence[int]]:
        """Yield the indices of all workers' batches from the start of the run."""
        waiting: dict[int, list[int]] = {}
        for epoch in self._epochs():
            groups = self._groups[epoch].tolist() if self._groups is not None else [0] * len(epoch)
            for index, group in zip(epoch.tolist(), groups, strict=True):
                batch = waiting.setdefault(group, [])
                batch.append(index)
                if len(batch) == self._batch_size:
                    # What is left over at the end of an epoch waits for the next.
                    del waiting[group]
                    yield batch

    def _epochs(self) -> Iterator[np.ndarray]:
        """Yield the shuffled indices of each epoch; fractions of repeat factors are drawn anew."""
        rng = np.random.default_rng(self._seed)
        whole = np.floor(self._repeats)
        while True:
            extra = rng.random(len(whole)) < self._repeats - whole
            counts = (whole + extra).astype(np.int64)
            yield rng.permutation(np.repeat(np.arange(len(counts)), counts))
