"""Draw held-out images beside their ground truth and their prediction.

python -m solo.tools.visualize_predictions --config-file C --weights F --dataset digits_val \
    --num-images 12 --output sheet.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

import solo  # noqa: F401  (registers the models and the data sets)
from solo.engine.predictor import TorchPredictor, inference_config
from solo.prediction import Predictor
from solo.visualization.files import check_picture_path, write_picture
from solo.visualization.sheet import dataset_rows, prediction_sheet

EXAMPLE = """example:
  python -m solo.tools.visualize_predictions --config-file configs/quickstart/solov2_digits.yaml \\
      --weights output/quickstart/model_final.pth --dataset digits_val --output sheet.png
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        draw_dataset(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def draw_dataset(args: argparse.Namespace) -> None:
    """Write the picture that the arguments ask for.

    Raises:
        ValueError: The data set is not known, or an argument is wrong.
        OSError: A file cannot be read or written.
    """
    output = Path(args.output)
    check_picture_path(output)
    cfg = inference_config(args.config_file, args.weights, args.device, args.opts)
    name = args.dataset or (cfg.DATASETS.TEST[0] if cfg.DATASETS.TEST else "")
    if name not in DatasetCatalog:
        raise ValueError(
            f"--dataset {name!r} is not registered. Known: {', '.join(sorted(DatasetCatalog))}."
        )
    predictor = Predictor(TorchPredictor(cfg))
    rows = dataset_rows(DatasetCatalog.get(name), predictor, args.num_images)
    names = MetadataCatalog.get(name).get("thing_classes", None) or predictor.class_names
    write_picture(prediction_sheet(rows, names, threshold=args.confidence_threshold), output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.visualize_predictions",
        description="Draw held-out images beside their ground truth and their prediction.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="the model's config")
    parser.add_argument("--weights", default="", metavar="FILE", help="checkpoint to load")
    parser.add_argument("--dataset", default="", help="registered name; default: DATASETS.TEST[0]")
    parser.add_argument("--num-images", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--output", default="predictions.png", help="default: %(default)s")
    parser.add_argument(
        "--confidence-threshold",
        type=float,
        default=0.3,
        help="score below which instances are left out; default: %(default)s",
    )
    parser.add_argument("--device", default="", help="default: cuda if there is one, else cpu")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys to override")
    return parser


if __name__ == "__main__":
    main()
