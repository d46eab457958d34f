"""Where the numbers of a training go: the log, metrics.json without double entries, TensorBoard and services."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.utils.events import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter

from solo.checkpoint import run_files
from solo.checkpoint.run_caption import run_caption
from solo.config.choices import MetricLogger
from solo.errors import UserError
from solo.files import write_text
from solo.training.metric_services import is_installed, service_writers
from solo.training.spared_logs import SparedWriter

logger = logging.getLogger(__name__)


def build_writers(
    output_dir: str, *, start_iter: int, max_iter: int, config: CfgNode | None = None
) -> list[EventWriter]:
    """Build the writers of losses and metrics: to the log, to metrics.json, and where LOGGERS says.

    Args:
        output_dir: Where the files are.
        start_iter: The first iteration of this run; later ones in the files are forgotten.
        max_iter: The iteration at which training ends.
        config: Whose LOGGERS these are, and which they are told. None: TensorBoard.

    Returns:
        The writers; without TensorBoard's where it is not installed.
    """
    metrics = Path(output_dir, run_files.METRICS)
    forget_metrics(metrics, start_iter)
    writers: list[EventWriter] = [
        CommonMetricPrinter(max_iter),
        SparedWriter(JSONWriter(str(metrics)), metrics),
    ]
    loggers = [MetricLogger.TENSORBOARD] if config is None else config.LOGGERS
    if MetricLogger.TENSORBOARD not in loggers:
        pass
    elif is_installed("tensorboard"):
        board = TensorboardXWriter(output_dir, purge_step=start_iter)
        writers.append(SparedWriter(board, Path(output_dir, "events.out.tfevents.*")))
    else:
        logger.info("tensorboard is not installed: the curves are in metrics.json only.")
    if config is not None:
        writers += service_writers(loggers, config, start_iter=start_iter)
    return writers


def close_writers(writers: Iterable[EventWriter]) -> None:
    """Write what was not written yet, and close the files."""
    for writer in writers:
        # The line of the log that this iteration deserves was written.
        if not isinstance(writer, CommonMetricPrinter):
            writer.write()
        writer.close()


def forget_metrics(path: Path, start_iter: int) -> None:
    """Remove from metrics.json what training is about to do again, and a line cut off by a kill.

    What a run without a checkpoint left is kept beside it, in metrics.previous.json.
    """
    if not path.is_file():
        return
    if start_iter == 0:
        path.replace(path.with_name(run_files.PREVIOUS_METRICS))
        return
    lines = path.read_text().splitlines()
    write_text("".join(f"{line}\n" for line in lines if _is_past(line, start_iter)), path)


def _is_past(line: str, start_iter: int) -> bool:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return False
    # The evaluation at the end of a run has the number of the step that would come next.
    is_evaluation = "total_loss" not in record
    return record["iteration"] < start_iter + is_evaluation


def plot_curves(output_dir: str) -> None:
    """Draw metrics.json to curves.png beside it; a picture that fails is no reason to fail."""
    folder = Path(output_dir)
    try:
        # Here, because matplotlib takes a second to import and may be missing.
        from solo.visualization import plot_metrics

        caption = run_caption(folder)._asdict()
        plot_metrics(folder / run_files.METRICS, folder / run_files.CURVES, **caption)
    except (ImportError, OSError, UserError) as error:
        logger.warning("curves.png was not drawn: %s", error)
