r"""Show a web page that finds the instances on the images dropped on it: `solo serve` with detectron2's flags.

example:
  python demo/app.py --config-file configs/quickstart/solov2_digits.yaml \
      --weights output/quickstart/model_final.pth
"""  # noqa: D405

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a clone, without installing it
from solo.cli._model import add_model
from solo.cli._parser import Parser
from solo.cli.main import run_verb
from solo.cli.serve import add_page, run
from solo.user_modules import add_import

__all__ = ["add_arguments", "main", "run"]


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser)
    add_import(parser)
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )
    add_page(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Show the page with these arguments, None: with those of the process; return the exit status."""
    return run_verb(__name__, "python demo/app.py", sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
