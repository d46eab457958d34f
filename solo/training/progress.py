"""The line that says how far a training is: iterations, losses, AP, share of the data, memory, and the time left."""

import math
from collections import deque
from pathlib import Path
from time import perf_counter

from detectron2.config import CfgNode
from detectron2.engine import HookBase

from solo.checkpoint import run_files
from solo.inference.datasets import best_metric_name
from solo.peak_memory import peak_memory
from solo.reached import best_of, evaluations
from solo.terminal import LiveLine, duration

# Steps that losses and shares are of, and that the time of a step is of; of the first few, which pick kernels and
# fill caches, only the last one counts until there are others.
_SMOOTHED, _TIMED, _WARMUP = 20, 200, 3


class Progress(HookBase):
    """Say after each step how far training is; the last of the hooks, so that it sees what the others take."""

    def __init__(self, cfg: CfgNode, line: LiveLine) -> None:
        """Take the config, as scaled to the workers, and the line to write to."""
        self._line = line
        self._metric = best_metric_name(cfg) if cfg.DATASETS.TEST else ""
        self._period: int = cfg.TEST.EVAL_PERIOD if cfg.DATASETS.TEST else 0
        self._metrics = Path(cfg.OUTPUT_DIR, run_files.METRICS)
        self._steps: deque[float] = deque(maxlen=_TIMED)
        self._evaluation = math.nan  # seconds of the last one
        self._last = self._best = math.nan

    def before_train(self) -> None:
        """Look up what a run that is resumed has reached."""
        made = evaluations(self._metrics)
        found = [item for item in made if self._metric in item.metrics]
        if found and (best := best_of(found, self._metric)):
            self._last, self._best = found[-1].metrics[self._metric], best.metrics[self._metric]
        self._since = perf_counter()
        total = self.trainer.max_iter
        self._line.show(0.0, lambda _: f"{self.trainer.start_iter}/{total}  the first images ...")

    def after_step(self) -> None:
        """Take the time of the step, or of the evaluation, and say how far it is."""
        seconds, self._since = self._since, perf_counter()
        seconds = self._since - seconds
        done = self.trainer.iter + 1
        if self._period and done % self._period == 0 and done < self.trainer.max_iter:
            self._look(seconds)
        else:
            if done - self.trainer.start_iter <= _WARMUP + 1:
                self._steps.clear()
            self._steps.append(seconds)
        self._line.show(done / self.trainer.max_iter, self._describe)

    def _look(self, seconds: float) -> None:
        """Take the AP and the time of a step that an evaluation followed."""
        self._evaluation = max(0.0, seconds - self._step)
        value, _ = self.trainer.storage.latest().get(self._metric, (math.nan, -1))
        if math.isfinite(value):
            self._last = float(value)
            self._best = self._last if math.isnan(self._best) else max(self._best, self._last)

    @property
    def _step(self) -> float:
        return sum(self._steps) / len(self._steps) if self._steps else 0.0

    def seconds_left(self) -> float:
        """Return how long it takes, with the evaluations to come once one was timed; nan: not known yet."""
        done, total = self.trainer.iter + 1, self.trainer.max_iter
        known = bool(self._steps)
        left = (total - done) * self._step
        if math.isfinite(self._evaluation):
            known = True
            # The last one follows the last step.
            left += ((total - 1) // self._period - done // self._period + 1) * self._evaluation
        return left if known else math.nan

    def _describe(self, columns: int) -> str:
        """Return the longest of several ways to say it that fits."""
        texts = [
            self._text(short=False, parts=True),
            self._text(short=True, parts=True),
            self._text(short=True, parts=False),
            self._text(short=True, parts=False, machine=False),
        ]
        return next((text for text in texts if len(text) <= columns), texts[-1][:columns])

    def _text(self, *, short: bool, parts: bool, machine: bool = True) -> str:
        means = {
            name: history.median(_SMOOTHED)
            for name, history in self.trainer.storage.histories().items()
            if name.startswith("loss_") or name in ("total_loss", "time", "data_time")
        }
        named = {name[5:]: value for name, value in means.items() if name.startswith("loss_")}
        of_parts = ", ".join(
            f"{name[:3] if short else name} {value:.2f}" for name, value in named.items()
        )
        words = [
            f"{self.trainer.iter + 1}/{self.trainer.max_iter}",
            f"loss {means.get('total_loss', math.nan):.2f}{f' ({of_parts})' * bool(parts and named)}",
        ]
        if math.isfinite(self._last):
            better = f" (best {self._best:.1f})" * (self._best > self._last)
            words.append(f"AP {self._last:.1f}{better}")
        if machine and means.get("time"):
            words.append(f"data {means['data_time'] / means['time']:.0%}")
        if machine and (peak := peak_memory()):
            words.append(f"{peak / 1e9:.1f} GB")
        left = self.seconds_left()
        words.append(f"ETA {duration(left) if math.isfinite(left) else '...'}")
        return "  ".join(words)
