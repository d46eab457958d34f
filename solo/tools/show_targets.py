r"""Draw which cells of each level have to find which object of the first training images.

Objects that no cell takes are outlined in red.

example: python -m solo.tools.show_targets --output targets.png \
    --config-file configs/quickstart/solov2_digits.yaml
"""

from collections.abc import Sequence

from solo.survey.drawings import target_sheet
from solo.tools._sheet import sheet_parser, write_sheet


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = sheet_parser("show_targets", __doc__, num_images=4, output="targets.png")
    args = parser.parse_args(argv)
    write_sheet(args, lambda cfg: target_sheet(cfg, args.num_images))


if __name__ == "__main__":
    main()
