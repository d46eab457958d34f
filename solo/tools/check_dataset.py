"""List what is broken in a data set, before training stumbles over it.

Files, masks, boxes, classes and ids are checked. The exit status is 1 if there are errors, else 0.

example: python -m solo.tools.check_dataset --json cats/train.json --images cats/images
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detectron2.data import MetadataCatalog

from solo.config.load import load_config
from solo.data import check_registered, load_records
from solo.data.checks import check_records
from solo.data.findings import Finding, Kind
from solo.data.formats.coco_document import check_coco_json
from solo.errors import UserError, exit_on
from solo.files import write_text
from solo.tools._command import add_opts, build_parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("check_dataset", __doc__)
    parser.add_argument("--json", metavar="FILE", help="annotations in COCO's format")
    parser.add_argument("--images", metavar="DIR", help="folder of the images of --json")
    parser.add_argument(
        "--dataset", nargs="+", default=[], metavar="NAME", help="registered data sets"
    )
    parser.add_argument(
        "--config-file",
        default="",
        metavar="FILE",
        help="check DATASETS.TRAIN and TEST of this config, or register its DATASETS.COCO_JSON "
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
    parser.add_argument("--json-report", metavar="FILE", help="write all that is wrong as json")
    add_opts(parser)
    args = parser.parse_args(argv)
    with exit_on():
        findings = check(args)
    for name, found in findings.items():
        print(report(name, found, args.first))
    if any(finding.kind.is_error for found in findings.values() for finding in found):
        raise SystemExit(1)


def check(args: argparse.Namespace) -> dict[str, list[Finding]]:
    """Return what is wrong with each data set that the arguments name.

    Raises:
        UserError: An argument is wrong, or a data set cannot be loaded.
        OSError: A file cannot be read or written.
    """
    if bool(args.json) != bool(args.images):
        raise UserError("--json FILE and --images DIR go together.")
    findings = {}
    if args.json:
        findings[args.json] = check_coco_json(args.json, args.images, read_images=args.read_images)
    for name in _names(args):
        findings[name] = _check_known(name, args.read_images)
    if not findings:
        raise UserError("Name a data set: --json and --images, --dataset or --config-file.")
    if args.json_report:
        write_text(json.dumps(list(_rows(findings)), indent=1), args.json_report)
    return findings


def report(name: str, findings: Sequence[Finding], first: int) -> str:
    """Return what to tell the user about a data set.

    Args:
        name: Of the data set.
        findings: What is wrong with it.
        first: How many of each kind to list.
    """
    lines = []
    for kind in Kind:
        if not (same := [finding for finding in findings if finding.kind is kind]):
            continue
        lines.append(f"{'error' if kind.is_error else 'note'}: {kind.title}: {len(same):,}")
        lines += [f"    {finding}" for finding in same[:first]]
        if len(same) > first:
            lines.append(f"    ... and {len(same) - first:,} more")
        lines.append(f"  {kind.advice}")
    errors = sum(finding.kind.is_error for finding in findings)
    verdict = f"{errors:,} error{'s' if errors != 1 else ''}" if errors else "no errors"
    return "\n".join([*lines, f"{name}: {verdict}"])


def _names(args: argparse.Namespace) -> list[str]:
    """Return the names of the registered data sets to check."""
    cfg = load_config(args.config_file, args.opts, device="cpu", needs_classes=False)
    names = list(args.dataset)
    if args.config_file and not names:
        names = list(dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]))
    check_registered(names)
    return names


def _check_known(name: str, read_images: bool) -> list[Finding]:
    metadata = MetadataCatalog.get(name)
    json_file = metadata.get("json_file")
    # The file itself, where there is one: what is broken in it may stop those who load it.
    if json_file and metadata.get("evaluator_type") == "coco" and Path(json_file).is_file():
        return check_coco_json(json_file, metadata.image_root, read_images=read_images)
    return check_records(
        load_records(name), len(metadata.get("thing_classes", ())), read_images=read_images
    )


def _rows(findings: dict[str, list[Finding]]) -> Iterator[dict[str, Any]]:
    for name, found in findings.items():
        for finding in found:
            yield {
                "dataset": name,
                "kind": finding.kind.title,
                "is_error": finding.kind.is_error,
                "file_name": finding.file_name,
                "annotation_id": finding.annotation_id,
                "detail": finding.detail,
            }


if __name__ == "__main__":
    main()
