r"""Draw augmented training images with masks, boxes and class names, as training sees them.

They are exactly those of training where SEED is 0 or more.

example: python -m solo.tools.show_batches --output batches.png \
    --config-file configs/quickstart/solov2_digits.yaml
"""

from collections.abc import Sequence

from solo.survey.drawings import batch_sheet
from solo.tools._sheet import sheet_parser, write_sheet


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = sheet_parser("show_batches", __doc__, num_images=16, output="batches.png")
    parser.add_argument(
        "--iteration", type=int, default=0, help="whose batch comes first; default: %(default)s"
    )
    args = parser.parse_args(argv)
    write_sheet(args, lambda cfg: batch_sheet(cfg, args.num_images, args.iteration))


if __name__ == "__main__":
    main()
