r"""Draw held-out images beside their ground truth and their prediction.

example: python -m solo.tools.visualize_predictions --dataset digits_val --output sheet.png \
    --config-file configs/quickstart/solov2_digits.yaml --weights output/quickstart/model_final.pth
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from detectron2.data import MetadataCatalog

from solo.config.load import inference_config
from solo.data import load_records
from solo.errors import exit_on
from solo.inference import Predictor
from solo.inference.torch_backend import TorchBackend
from solo.report.dataset_rows import dataset_rows
from solo.tools._command import add_config, add_weights, build_parser
from solo.visualization.pictures import check_picture_path, write_picture
from solo.visualization.sheet import prediction_sheet


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("visualize_predictions", __doc__)
    add_config(parser)
    add_weights(parser)
    parser.add_argument("--dataset", default="", help="registered name; default: DATASETS.TEST[0]")
    parser.add_argument("--num-images", type=int, default=12, help="default: %(default)s")
    parser.add_argument(
        "--output", type=Path, default=Path("predictions.png"), help="default: %(default)s"
    )
    parser.add_argument(
        "--confidence-threshold",
        type=float,
        default=0.3,
        help="score below which instances are left out; default: %(default)s",
    )
    args = parser.parse_args(argv)
    with exit_on():
        draw_dataset(args)


def draw_dataset(args: argparse.Namespace) -> None:
    """Write the picture that the arguments ask for.

    Raises:
        UserError: The data set is not known, or an argument is wrong.
        OSError: A file cannot be read or written.
    """
    check_picture_path(args.output)
    cfg = inference_config(args.config_file, args.weights, args.device, args.opts)
    name = args.dataset or (cfg.DATASETS.TEST[0] if cfg.DATASETS.TEST else "")
    records = load_records(name)
    predictor = Predictor(TorchBackend(cfg))
    rows = dataset_rows(records, predictor, args.num_images, cfg.INPUT.MAX_PIXELS)
    names = MetadataCatalog.get(name).get("thing_classes", None) or predictor.class_names
    write_picture(prediction_sheet(rows, names, threshold=args.confidence_threshold), args.output)


if __name__ == "__main__":
    main()
