"""The numbers of a training sent to Weights & Biases or MLflow; one that fails never stops the training."""

import importlib.util
import json
import logging
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import yaml
from detectron2.config import CfgNode
from detectron2.utils.events import EventWriter, get_event_storage

from solo.checkpoint.run_files import LOGGERS
from solo.config.choices import MetricLogger
from solo.errors import UserError
from solo.files import write_text

logger = logging.getLogger(__name__)

_WINDOW = 20  # iterations whose median is sent, as metrics.json has it
_PARAMS = 100  # that MLflow takes at a time
_LONG = 500  # characters of a value that every MLflow takes


def check_loggers(cfg: CfgNode) -> None:
    """Raise a UserError where LOGGERS has a service whose package is not installed."""
    for name in cfg.LOGGERS:
        if name != MetricLogger.TENSORBOARD and not is_installed(name):
            raise UserError(
                f"LOGGERS has {name}, which is not installed: pip install {name}, or take it out of LOGGERS."
            )


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported; a folder of its name, as W&B leaves one, is none."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


class Service(Protocol):
    """A run at a service."""

    run_id: str

    def log(self, scalars: dict[str, float], iteration: int) -> None:
        """Send numbers of one iteration."""

    def close(self, *, failed: bool) -> None:
        """Send the rest, and say how it ended."""


class WandbRun:
    """A run at Weights & Biases, in the project of WANDB_PROJECT."""

    def __init__(self, config: CfgNode, run_id: str | None) -> None:
        """Begin a run, or go on with one."""
        import wandb

        values = yaml.safe_load(config.dump())
        resume = "allow" if run_id else None
        self._run = wandb.init(id=run_id, resume=resume, dir=config.OUTPUT_DIR, config=values)
        self.run_id: str = self._run.id

    def log(self, scalars: dict[str, float], iteration: int) -> None:
        """Send numbers of one iteration."""
        self._run.log(scalars, step=iteration)

    def close(self, *, failed: bool) -> None:
        """Send the rest, and say how it ended."""
        self._run.finish(exit_code=int(failed))


class MlflowRun:
    """A run of MLflow, at MLFLOW_TRACKING_URI and in the experiment of MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, config: CfgNode, run_id: str | None) -> None:
        """Begin a run, or go on with one."""
        import mlflow

        self._mlflow = mlflow
        self.run_id: str = mlflow.start_run(run_id=run_id).info.run_id
        if not run_id:  # a parameter is written once
            params = list(_flat(yaml.safe_load(config.dump())))
            for start in range(0, len(params), _PARAMS):
                mlflow.log_params(dict(params[start : start + _PARAMS]))

    def log(self, scalars: dict[str, float], iteration: int) -> None:
        """Send numbers of one iteration; names of classes may have signs that MLflow refuses."""
        named = {re.sub(r"[^/\w.\- ]", "_", name): value for name, value in scalars.items()}
        self._mlflow.log_metrics(named, step=iteration)

    def close(self, *, failed: bool) -> None:
        """Say how it ended."""
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


_RUNS: dict[str, type[WandbRun] | type[MlflowRun]] = {
    MetricLogger.WANDB: WandbRun,
    MetricLogger.MLFLOW: MlflowRun,
}


class ServiceWriter(EventWriter):
    """Send what metrics.json gets to a service, until it fails."""

    def __init__(self, name: str, config: CfgNode, *, start_iter: int) -> None:
        """Begin a run, or go on with that of OUTPUT_DIR where training is resumed."""
        self._name = name
        self._last = -1
        self._service: Service | None = None
        path = Path(config.OUTPUT_DIR, LOGGERS)
        runs: dict[str, str] = {}
        with suppress(OSError, ValueError):
            runs = json.loads(path.read_text())
        with self._spared():
            self._service = _RUNS[name](config, runs.get(name) if start_iter else None)
            write_text(json.dumps({**runs, name: self._service.run_id}), path)

    @contextmanager
    def _spared(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of a class of its own for each service
            self._service = None
            reason = str(error).partition("\n")[0] or type(error).__name__
            logger.warning(
                "%s gets nothing from here on (%s): the training goes on.", self._name, reason
            )

    def write(self) -> None:
        """Send what came since the last time."""
        if self._service is None:
            return
        latest = get_event_storage().latest_with_smoothing_hint(_WINDOW)
        scalars: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for name, (value, iteration) in latest.items():
            if iteration > self._last:
                scalars[iteration][name] = float(value)
        self._last = max([self._last, *scalars])
        with self._spared():
            for iteration in sorted(scalars):
                self._service.log(scalars[iteration], iteration)

    def close(self) -> None:
        """End the run, as failed where an exception is on its way."""
        with self._spared():
            if self._service is not None:
                self._service.close(failed=sys.exc_info()[0] is not None)


def service_writers(
    names: Sequence[str], config: CfgNode, *, start_iter: int
) -> list[ServiceWriter]:
    """Return the writers of those LOGGERS that are services."""
    return [ServiceWriter(name, config, start_iter=start_iter) for name in names if name in _RUNS]


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)[:_LONG]
