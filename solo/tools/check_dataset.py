"""List what is broken in a data set, before training stumbles over it.

Files, masks, boxes, classes and ids are checked. The exit status is 1 if there are errors, else 0.

example: python -m solo.tools.check_dataset --annotations cats/train.json --images cats/images
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from solo.config.choices import AnnotationFormat
from solo.config.load import load_config
from solo.data import check_registered, load_records
from solo.data.checks import check_records
from solo.data.document import normalise
from solo.data.document_check import check_document
from solo.data.formats.registry import read_annotations
from solo.data.kept_records import may_leave_folder
from solo.data.repair import list_changes, repair
from solo.errors import UserError, exit_on
from solo.files import write_text
from solo.images import MAX_PIXELS
from solo.tools._command import add_opts, build_parser
from solo.tools._dataset_report import Checked, report, rows, verdict


class Look(NamedTuple):
    """How images are looked at: see `check_contents`."""

    read_images: bool = False
    max_pixels: int = MAX_PIXELS


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    args = _parser().parse_args(argv)
    with exit_on():
        checked = check(args)
        lines = [report(one, args.first) for one in checked]
        if args.fix:
            lines += fix(checked[0], args.fix)
        # With "-" what people read makes way for what machines do.
        print("\n".join(lines), file=sys.stderr if args.json == "-" else sys.stdout)
        if args.json:
            _write([row for one in checked for row in rows(one)], args.json)
    if any(one.errors for one in checked):
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = build_parser("check_dataset", __doc__)
    parser.add_argument("--annotations", metavar="PATH", help="annotations in any format")
    parser.add_argument(
        "--format",
        default=str(AnnotationFormat.AUTO),
        metavar="WORD",
        help=f"of --annotations: {', '.join(AnnotationFormat)} (default: %(default)s)",
    )
    parser.add_argument("--images", metavar="DIR", help="folder of the images of --annotations")
    parser.add_argument(
        "--dataset", nargs="+", default=[], metavar="NAME", help="registered data sets"
    )
    parser.add_argument(
        "--config-file",
        default="",
        metavar="FILE",
        help="check DATASETS.TRAIN and TEST of this config, or register its DATASETS.FILES "
        "for --dataset",
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
    parser.add_argument("--json-report", dest="json", help=argparse.SUPPRESS)
    add_opts(parser)
    return parser


def check(args: argparse.Namespace) -> list[Checked]:
    """Return what is wrong with each data set that the arguments name.

    Raises:
        UserError: An argument is wrong, or a data set cannot be loaded.
        OSError: A file cannot be read.
    """
    _check_files(args)
    cfg = load_config(args.config_file, args.opts, device="cpu", needs_classes=False)
    names = _names(args, cfg)
    if not (args.annotations or names):
        raise UserError("Name a data set: --annotations and --images, --dataset or --config-file.")
    checked = []
    look = Look(args.read_images, cfg.INPUT.MAX_PIXELS)
    if args.annotations:
        files = args.annotations, args.images, args.format
        leave_folder = cfg.DATASETS.LEAVE_FOLDER
        checked.append(check_file(args.annotations, *files, look, leave_folder=leave_folder))
    checked += [_check_known(name, look) for name in names]
    if args.fix and (len(checked) > 1 or not checked[0].annotations):
        raise UserError("--fix mends one file: name it by --annotations.")
    return checked


def check_file(
    name: str, path: str, folder: str, form: str, look: Look, *, leave_folder: bool = False
) -> Checked:
    """Check annotations of any format under the name of their data set."""
    document = normalise(read_annotations(path, folder, form), folder, leave_folder=leave_folder)
    findings = check_document(document, folder, **look._asdict())
    return Checked.of(name, document, findings, (path, folder, form))


def fix(checked: Checked, out: str) -> list[str]:
    """Write a mended copy of a file; return what was changed, and how far the copy can be used.

    Raises:
        OSError: It cannot be written.
    """
    files = checked.annotations, checked.folder, checked.form
    raw, changes = repair(read_annotations(*files), checked.folder, checked.findings)
    if not changes:
        return [f"{out} is not written: nothing can be mended without a doubt"]
    removed = sum(len(places) for what, places in changes.items() if what.startswith("removed"))
    given = raw.get("annotations")
    if isinstance(given, list) and removed > len(given):
        return [f"{out} is not written: {removed:,} annotations, most of them, would be removed"]
    lines = list_changes(changes)
    info = raw.get("info")
    raw["info"] = {**(info if isinstance(info, dict) else {}), "mended": lines}
    write_text(json.dumps(raw), out)
    copy = check_file(out, out, checked.folder, AnnotationFormat.COCO, Look(), leave_folder=True)
    return [f"{out} is written:", *(f"    {line}" for line in lines), f"{out}: {verdict(copy)}"]


def _write(found: list[dict[str, Any]], path: str) -> None:
    text = json.dumps(found, indent=1)
    if path == "-":
        print(text)
    else:
        write_text(text, path)


def _check_files(args: argparse.Namespace) -> None:
    """Stop at files that do not go together, and before one is overwritten."""
    if args.json and not args.annotations and _is_no_report(args):
        raise UserError(
            f"--json FILE is what the findings are written to; annotations are given by "
            f"--annotations {args.json}"
        )
    if bool(args.annotations) != bool(args.images):
        raise UserError("--annotations FILE and --images DIR go together.")
    for path in filter(None, (args.json, args.fix)):
        if args.annotations and Path(path).resolve() == Path(args.annotations).resolve():
            raise UserError(f"{path} holds the annotations: write to another file.")
    if args.fix and Path(args.fix).exists():
        raise UserError(f"{args.fix} exists: --fix writes a new file.")


def _is_no_report(args: argparse.Namespace) -> bool:
    """Return whether --json names annotations, as it once did: reports are lists."""
    if args.images:
        return True
    path = Path(args.json)
    return path.is_file() and path.open("rb").read(1) != b"["


def _names(args: argparse.Namespace, cfg: CfgNode) -> list[str]:
    """Return the names of the registered data sets to check."""
    names = list(args.dataset)
    if args.config_file and not names:
        names = list(dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]))
    check_registered(names)
    return names


def _check_known(name: str, look: Look) -> Checked:
    metadata = MetadataCatalog.get(name)
    path = metadata.get("json_file") or metadata.get("annotation_file")
    # The file itself, where there is one: what is broken in it may stop those who load it.
    if path and metadata.get("evaluator_type") == "coco" and Path(path.partition(":")[0]).exists():
        form = metadata.get("annotation_format", AnnotationFormat.COCO)
        files = path, metadata.image_root, form
        return check_file(name, *files, look, leave_folder=may_leave_folder(name))
    records = load_records(name)
    classes = metadata.get("thing_classes", ())
    findings = check_records(records, len(classes), **look._asdict())
    kept = sum(len(record.get("annotations", ())) for record in records)
    return Checked(name, findings, len(records), kept)


if __name__ == "__main__":
    main()
