"""List what is broken in a data set, before training stumbles over it.

Files, masks, boxes, classes and ids are checked. The exit status is 1 if there are errors, else 0.

example: solo data check --data cats/
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from solo.cli._own_data import add_data, find_parts
from solo.cli._parser import Parser, add_annotations, add_config
from solo.errors import UserError
from solo.files import write_text

if TYPE_CHECKING:
    from detectron2.config import CfgNode

    from solo.data.checkup import Checked


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_data(parser, "what is to train on and to evaluate with is checked")
    add_annotations(parser)
    parser.add_argument(
        "--dataset", nargs="+", default=[], metavar="NAME", help="registered data sets"
    )
    add_config(
        parser,
        "check DATASETS.TRAIN and TEST of this config, or register its DATASETS.FILES for --dataset",
        required=False,
    )
    parser.add_argument(
        "--read-images",
        action="store_true",
        help="decode each image; else only the header of its file is read",
    )
    parser.add_argument(
        "--first", type=int, default=5, metavar="N", help="listed of each kind (default: 5)"
    )
    parser.add_argument(
        "--fix",
        metavar="OUT",
        help="write a copy in COCO's format in which all that is certain is mended, and list it",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all that is wrong as json; -: print it"
    )


def run(args: argparse.Namespace) -> int:
    """Check, and tell; 1 if there is something to mend."""
    from solo.cli.data._findings import report, rows
    from solo.data.checkup import mend

    checked = check(args)
    lines = [report(one, args.first) for one in checked]
    if args.fix:
        lines += mend(checked[0], args.fix)
    # With "-" what people read makes way for what machines do.
    print("\n".join(lines), file=sys.stderr if args.json == "-" else sys.stdout)
    if args.json:
        text = json.dumps([row for one in checked for row in rows(one)], indent=1)
        if args.json == "-":
            print(text)
        else:
            write_text(text, args.json)
            print(f"written: {args.json}")
    return int(any(one.errors for one in checked))


def check(args: argparse.Namespace) -> list["Checked"]:
    """Return what is wrong with each data set that the arguments name.

    Raises:
        UserError: An argument is wrong, or a data set cannot be loaded.
        OSError: A file cannot be read.
    """
    from solo.architectures import needs_masks
    from solo.config.load import load_config
    from solo.data.checkup import Look, check_file, check_known
    from solo.data.findings import Kind

    _check_files(args)
    cfg = load_config(args.config_file, args.opts, device="cpu", needs_classes=False)
    names = _names(args, cfg)
    files = _files(args)
    if not (files or names):
        raise UserError(
            "Name a data set: --data, --annotations and --images, --dataset or --config."
        )
    _check_outputs(args, [path for path, _, _ in files])
    look = Look(args.read_images, cfg.INPUT.MAX_PIXELS)
    leave_folder = cfg.DATASETS.LEAVE_FOLDER
    checked = [check_file(one[0], *one, look, leave_folder=leave_folder) for one in files]
    checked += [check_known(name, look) for name in names]
    if args.config_file and not needs_masks(cfg):
        checked = [one.without(Kind.BOXES_ONLY) for one in checked]
    if args.fix and (len(checked) > 1 or not checked[0].annotations):
        raise UserError("--fix mends one file: name it by --annotations.")
    return checked


def _check_files(args: argparse.Namespace) -> None:
    """Stop at files that do not go together."""
    if args.json and not args.annotations and _is_no_report(args):
        raise UserError(
            f"--json FILE is what the findings are written to; annotations are given by "
            f"--annotations {args.json}"
        )
    if not args.data and bool(args.annotations) != bool(args.images):
        raise UserError("--annotations FILE and --images DIR go together.")


def _files(args: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Return the annotations to check that no name is registered for, with image folder and format."""
    if args.data:
        found = find_parts(args)
        parts = [found.train, found.val] if found.val else [found.train]
        return [(part.annotations, part.images, str(part.form)) for part in parts]
    return [(args.annotations, args.images, args.format)] if args.annotations else []


def _check_outputs(args: argparse.Namespace, annotations: Sequence[str]) -> None:
    """Stop before annotations or a finished copy are overwritten."""
    given = [Path(path).resolve() for path in annotations]
    for path in filter(None, (args.json, args.fix)):
        if Path(path).resolve() in given:
            raise UserError(f"{path} holds the annotations: write to another file.")
    if args.fix and Path(args.fix).exists():
        raise UserError(f"{args.fix} exists: --fix writes a new file.")


def _is_no_report(args: argparse.Namespace) -> bool:
    """Return whether --json names annotations, as it once did: reports are lists."""
    if args.images and not args.data:
        return True
    path = Path(args.json)
    return path.is_file() and path.open("rb").read(1) != b"["


def _names(args: argparse.Namespace, cfg: "CfgNode") -> list[str]:
    """Return the names of the registered data sets to check."""
    from solo.data import check_registered

    names = list(args.dataset)
    if args.config_file and not names:
        names = list(dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]))
    check_registered(names)
    return names
