"""Convert annotations of any format that is read into COCO's json, or into YOLO's text files.

Formats are those of YOLO (segments or boxes), LabelMe, VIA, CVAT for images, Pascal VOC's XML and COCO.
Training and evaluation read them as they are, too: see DATASETS.FILES in docs/custom_data.md.

example: solo data convert --annotations cats/labelme --images cats/images --to coco cats.json
"""

import argparse
import json
from pathlib import Path

from solo.cli._parser import Parser, add_annotations
from solo.errors import UserError
from solo.files import folder_written_whole, write_text


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_annotations(parser)
    parser.add_argument("--to", required=True, choices=("coco", "yolo"), help="format of OUT")
    parser.add_argument(
        "--link-images",
        action="store_true",
        help="with --to yolo: fill OUT/images with links to the images",
    )
    parser.add_argument(
        "--leave-folder",
        action="store_true",
        help="file names may lead out of the image folder",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="json file, or folder, to write")


def run(args: argparse.Namespace) -> None:
    """Convert, and tell what was written."""
    if not (args.annotations and args.images):
        raise UserError("Name what to convert: --annotations PATH and --images DIR.")
    if args.link_images and args.to != "yolo":
        raise UserError("--link-images goes with --to yolo.")
    print(convert(args))


def convert(args: argparse.Namespace) -> str:
    """Convert what the arguments name, and return what to tell the user.

    Raises:
        UserError: If the annotations cannot be used, or OUT is there already.
        OSError: If a file cannot be read or written.
    """
    from solo.data.formats.coco_json import read_usable
    from solo.data.formats.written_coco import coco_document
    from solo.data.formats.written_yolo import write_yolo

    out = args.out.expanduser()
    _check_free(out, is_folder=args.to == "yolo")
    images = Path(args.images).expanduser()
    path, may = args.annotations, args.leave_folder
    document = read_usable(path, str(images), path, args.format, leave_folder=may)
    if args.to == "coco":
        converted, left_out = coco_document(document, images)
        write_text(json.dumps(converted, ensure_ascii=False), out)
    else:
        with folder_written_whole(out) as folder:
            left_out = write_yolo(document, images, folder, link=args.link_images)
    objects = sum(len(record.get("annotations", ())) for record in document.records)
    lines = [
        f"{out}: {len(document.records):,} images, {objects - left_out.total():,} objects of "
        f"{len(document.class_names)} classes"
    ]
    lines += [f"left out: {count:,} objects {reason}" for reason, count in left_out.items()]
    if args.to == "yolo" and not args.link_images:
        lines.append(
            f"The images are not copied: put those of {images} into {out / 'images'}, or use "
            "--link-images."
        )
    return "\n".join(lines)


def _check_free(out: Path, *, is_folder: bool) -> None:
    """Raise a UserError if something would be written over."""
    if out.is_dir() and (not is_folder or any(out.iterdir())):
        raise UserError(f"{out} is a folder{' with contents' * is_folder}: choose another name.")
    if out.is_file() and (is_folder or out.stat().st_size):
        raise UserError(f"{out} exists: choose another name, or remove it.")
