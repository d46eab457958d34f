"""The one loop of evaluation: from inputs, and whatever finds instances in them, to an evaluator's tables."""

import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from detectron2.utils import comm
from torch import nn

from solo.evaluation.left_out import Item, LeftOut
from solo.terminal import LiveLine, duration

logger = logging.getLogger(__name__)

Find = Callable[[list[Item]], Sequence[dict[str, Instances]]]
"""From the items of a batch to `{"instances": ...}` for each: a model, with views or without, or a predictor."""

# Seconds between two lines of the log.
_TELL_EVERY = 5
# The first batches are slower; they are left out of the times where there are more.
_WARMUP = 5


class Batches(Protocol):
    """The inputs that this process looks at, such as a loader or a list."""

    def __len__(self) -> int:
        """Return how many batches there are."""
        ...

    def __iter__(self) -> Iterator[list[Item]]:
        """Go through them."""
        ...


@torch.no_grad()
def run_evaluation(
    find: Find,
    batches: Batches,
    evaluator: DatasetEvaluator,
    *,
    name: str = "",
    image_ids: Sequence[Any] | None = None,
) -> OrderedDict[str, Any]:
    """Find instances in all inputs, and compare them with the truth; the log tells how far it is.

    Every process has to call it, with its own share of the inputs: the evaluator gathers. The objects
    of images that could not be read, see `OrReason`, count neither as found nor as missed.

    Args:
        find: What is evaluated. A module is in eval mode meanwhile, and in its own again afterwards.
        batches: See `Batches`. Items have what the evaluator asks for, as `image_id`.
        evaluator: Knows the truth, and makes the tables; its `evaluate` takes the ids of images, or None.
        name: Of the data set, for the log.
        image_ids: Only the objects of these images count, which have to be those of the batches. None:
            of all.

    Returns:
        ``{task: {metric: value}}`` on the main process, elsewhere empty.

    Raises:
        UserError: If no image could be read.
    """
    evaluator.reset()
    left_out = LeftOut(name)
    progress = _Progress(len(batches), name)
    with _eval_mode(find), progress:
        for batch in batches:
            batch = left_out.take_from(batch)
            progress.spent_on("data")
            outputs = find(batch) if batch else []
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            progress.spent_on("model")
            evaluator.process(batch, outputs)
            progress.spent_on("evaluator")
            progress.tell()
    image_ids = left_out.gather(image_ids)
    results = evaluator.evaluate() if image_ids is None else evaluator.evaluate(image_ids)
    left_out.tell()
    return results or OrderedDict()


@contextmanager
def _eval_mode(find: Find) -> Iterator[None]:
    """Put each part of a module back into the mode that it was in."""
    modes = {part: part.training for part in find.modules()} if isinstance(find, nn.Module) else {}
    for part in modes:
        part.training = False
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


class _Progress:
    """How far it is, and where the time goes: in the line that changes, and in the log now and then."""

    def __init__(self, total: int, name: str) -> None:
        self._line = LiveLine(shown=comm.is_main_process())
        self._total, self._name = total, name
        self._done = self._timed = 0
        self._seconds: dict[str, float] = defaultdict(float)
        self._told = self._since = time.perf_counter()

    def __enter__(self) -> None:
        self._line.__enter__()
        logger.info("Evaluating on %s: %d batches.", self._name, self._total)

    def __exit__(self, *error: object) -> None:
        self._line.__exit__()
        if self._done == self._total:
            logger.info("Found the instances of %s. %s.", self._name, self._times())

    def spent_on(self, what: str) -> None:
        """Count the time since the last call as that of a step."""
        now = time.perf_counter()
        self._seconds[what] += now - self._since
        self._since = now

    def tell(self) -> None:
        """Count a batch as done."""
        self._done += 1
        self._timed += 1
        self._line.show(self._done / self._total, self._describe)
        if self._done == _WARMUP < self._total:
            self._seconds.clear()
            self._timed = 0
        elif self._since - self._told >= _TELL_EVERY:
            self._told = self._since
            eta = timedelta(seconds=int(self._seconds_left()))
            text = "Inference done %d/%d. %s. ETA %s"
            logger.info(text, self._done, self._total, self._times(), eta)

    def _seconds_left(self) -> float:
        return (self._total - self._done) * sum(self._seconds.values()) / max(self._timed, 1)

    def _describe(self, columns: int) -> str:
        how_far = f"  {self._done}/{self._total}  ETA {duration(self._seconds_left())}"
        return f"evaluating on {self._name}"[: columns - len(how_far)] + how_far

    def _times(self) -> str:
        count = max(self._timed, 1)
        parts = ", ".join(f"{name} {value / count:.4f}" for name, value in self._seconds.items())
        return f"Seconds a batch: {sum(self._seconds.values()) / count:.4f} ({parts})"
