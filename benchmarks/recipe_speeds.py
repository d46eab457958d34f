"""How long a step of training and an image take with each recipe, in turns in one process."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from detectron2.config import CfgNode
from detectron2.utils.events import EventStorage
from turns import take_turns

from solo.benchmark.models import load_model
from solo.benchmark.train import Step
from solo.config.load import load_config
from solo.data import build_train_loader, load_records
from solo.images import read_image
from solo.inference import Predictor
from solo.training.ema import WeightAverage


def step_times(folders: Sequence[Path], turns: int = 15) -> list[float]:
    """Return the median of ms of a step with each run's config: from the files of a batch to the new weights."""
    return in_turns([_step(load_config(folder / "config.yaml")) for folder in folders], turns)


def image_times(
    folders: Sequence[Path], dataset: str, *, turns: int = 5, count: int = 50
) -> list[float]:
    """Return the median of ms from a BGR image to masks of its size, one image at a time, with each run's model."""
    files = [record["file_name"] for record in load_records(dataset)[:count]]
    images = [read_image(file, "BGR") for file in files]

    def find(predictor: Predictor) -> Callable[[], object]:
        return lambda: [predictor(image) for image in images]

    passes = in_turns([find(Predictor.from_run(folder)) for folder in folders], turns)
    return [milliseconds / len(images) for milliseconds in passes]


def in_turns(functions: Sequence[Callable[[], object]], turns: int) -> list[float]:
    """Return the median of ms of each function; they take turns, after a first one that does not count."""
    seconds = take_turns(*functions, repeats=turns + 1)
    return [1000 * median(times[1:]) for times in seconds]


def _step(cfg: CfgNode) -> Callable[[], Any]:
    """Return what takes a step, as in the middle of the training, when no warm-up is on."""
    model = load_model(cfg).train()
    average = WeightAverage(model, cfg.SOLVER.EMA)
    average.before_train()
    batches, take = iter(build_train_loader(cfg)), Step(cfg, model)

    def step() -> None:
        with EventStorage(cfg.SOLVER.MAX_ITER // 2):
            take(next(batches))
            average.after_step()

    return step
