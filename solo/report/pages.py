"""What `solo report` makes of runs and models: the page, the sheet, the curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.structures import Instances

from solo.checkpoint.run_caption import run_caption
from solo.checkpoint.run_files import METRICS
from solo.config.load import inference_config
from solo.data import load_records
from solo.errors import UserError
from solo.files import check_folder, write_text
from solo.inference import Predictor
from solo.inference.datasets import class_order
from solo.inference.opening import open_predictor
from solo.inference.torch_backend import TorchBackend
from solo.report.dataset_rows import dataset_rows
from solo.report.held_out import HeldOut, examine
from solo.report.page import render_report
from solo.report.run_folder import Run
from solo.visualization.curves import plot_metrics, plot_runs
from solo.visualization.pictures import check_picture_path, write_picture
from solo.visualization.sheet import prediction_sheet


def write_page(
    run: Run,
    output: Path,
    *,
    dataset: str = "",
    num_images: int | None = None,
    opts: Sequence[str] = (),
    device: str = "",
) -> HeldOut:
    """Write the page about a run.

    Args:
        run: Of `open_run`.
        output: An .html file.
        dataset: Registered name. Empty: DATASETS.TEST[0].
        num_images: Held-out images to look at, spread evenly; None: all.
        opts: KEY VALUE ... over the run's config.
        device: See `Predictor.from_config`.

    Returns:
        What the page is of.

    Raises:
        UserError: An argument is wrong, or the data set cannot be used.
        OSError: A file cannot be read or written.
    """
    if output.suffix.lower() not in (".html", ".htm") or output.is_dir():
        raise UserError(f"--output {output}: give the name of a file that ends in .html.")
    check_folder(output.parent)
    dataset = dataset or next(iter(run.cfg.DATASETS.TEST), "")
    if not dataset:
        raise UserError(f"{run.config_file} has no DATASETS.TEST: name a data set with --dataset.")
    model = (str(run.config_file), str(run.weights))
    held_out = examine(open_predictor(*model, device=device, opts=opts), dataset, num_images)
    cfg = inference_config(*model, device, opts)
    write_text(render_report(run, held_out, cfg), output)
    return held_out


def write_sheet(
    cfg: CfgNode,
    output: Path,
    *,
    dataset: str = "",
    num_images: int = 12,
    threshold: float | None = None,
) -> None:
    """Write a picture of held-out images beside their truth and what a model finds.

    Args:
        cfg: Of `inference_config`.
        output: A picture.
        dataset: Registered name. Empty: DATASETS.TEST[0].
        num_images: Images, spread evenly over the data set.
        threshold: Score below which instances are left out. None: the model's own.

    Raises:
        UserError: The data set is not known, has objects of other classes, or an argument is wrong.
        OSError: A file cannot be read or written.
    """
    check_picture_path(output)
    name = dataset or next(iter(cfg.DATASETS.TEST), "")
    records = load_records(name)
    predictor = Predictor(TorchBackend(cfg))
    least = predictor.threshold if threshold is None else threshold
    names = MetadataCatalog.get(name).get("thing_classes", None)
    order = class_order(predictor, name, records) if names else None

    def find(image: np.ndarray) -> Instances:
        found = predictor(image, threshold=least)
        return order(found) if order else found

    rows = dataset_rows(records, find, num_images, cfg.INPUT.MAX_PIXELS, least)
    names = names or predictor.class_names
    write_picture(prediction_sheet(rows, names, threshold=least), output)


def write_curves(runs: Sequence[Path], output: Path) -> None:
    """Write a picture of the losses, the rate and the AP of a run, or of several to compare them.

    Raises:
        UserError: A run holds no numbers.
        OSError: A file cannot be read or written.
    """
    captions = {run: run_caption(run) for run in runs}
    if len(runs) == 1:
        plot_metrics(runs[0] / METRICS, output, **captions[runs[0]]._asdict())
        return
    # Their full paths where folders of different runs have the same name.
    short = {run.resolve().name: run for run in runs}
    named = short if len(short) == len(captions) else {str(run): run for run in runs}
    titles = {name: captions[run].title for name, run in named.items()}
    plot_runs({name: run / METRICS for name, run in named.items()}, output, titles)
