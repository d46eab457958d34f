"""The published models: their names, and what is known of each; or download some ahead of use.

A name is taken by --model and --config everywhere, and as MODEL.WEIGHTS solo://NAME. Weights are
downloaded on first use; files lie in $SOLO_CACHE, and $SOLO_ZOO_URL names a mirror.

example: solo zoo download coco/solov2_light_448_R_50_FPN_3x
"""

import argparse
import difflib
import json
import sys
from typing import TYPE_CHECKING, Any

from solo.cli._parser import Parser
from solo.errors import UserError
from solo.files import write_text

if TYPE_CHECKING:
    from solo.model_zoo import Entry

_HEADERS = ("name", "AP", "of", "parameters", "size", "licence", "here")


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        "words", nargs="*", metavar="download NAME ...", help="download these; without: the table"
    )
    parser.add_argument("--all", action="store_true", help="download all of the table")
    parser.add_argument("--json", metavar="FILE", help="write the rows as json; -: print them")


def run(args: argparse.Namespace) -> None:
    """Print the table, or download and print where the files lie."""
    # Here: `solo zoo --help` needs no detectron2.
    from solo import model_zoo
    from solo.checkpoint.weights_cache import cache_folder
    from solo.config.names import config_names

    told = sys.stderr if args.json == "-" else sys.stdout
    if args.words or args.all:
        names = _names(args)
        for name in names:
            print(model_zoo.download(name), file=told, flush=True)
        rows = [entry for entry in model_zoo.entries() if entry.name in names]
    else:
        rows = model_zoo.entries()
        known = {entry.name for entry in rows}
        bare = [name for name in config_names() if "/" in name and name not in known]
        print(
            _table(rows),
            f"Configs without weights: {', '.join(bare)}.",
            f"Files lie in {cache_folder()}.",
            sep="\n\n",
            file=told,
        )
    if args.json:
        text = json.dumps([_row(entry) for entry in rows], indent=1)
        if args.json == "-":
            print(text)
        else:
            write_text(text, args.json)
            print(f"written: {args.json}")


def _names(args: argparse.Namespace) -> list[str]:
    """Return the names to download, each of which there is.

    Raises:
        UserError: If something else is asked for, or there is no such name.
    """
    from solo import model_zoo
    from solo.checkpoint.published import find_published

    if args.words and args.words[0] != "download":
        mistyped = bool(difflib.get_close_matches(args.words[0], ["download"]))
        meant = " ".join(["solo zoo download", *args.words[mistyped:]])
        raise UserError(f"`solo zoo` does not know {args.words[0]!r}: did you mean `{meant}`?")
    if args.all:
        return [entry.name for entry in model_zoo.entries()]
    if len(args.words) < 2:
        raise UserError("Name what to download, as in `solo zoo download NAME`, or give --all.")
    return [find_published(name).name for name in args.words[1:]]


def _table(entries: list["Entry"]) -> str:
    from tabulate import tabulate

    rows = [
        (
            entry.name,
            *_precision(entry),
            f"{entry.parameters / 1e6:.1f} M",
            _size(entry),
            entry.licence,
            "yes" if entry.file else "no",
        )
        for entry in entries
    ]
    right, left = "right", "left"
    aligned = (left, right, left, right, right, left, left)
    return str(tabulate(rows, headers=_HEADERS, colalign=aligned, disable_numparse=True))


def _precision(entry: "Entry") -> tuple[str, str]:
    """Return the AP, and what it is of; of a backbone there is none."""
    if entry.average_precision is None:
        return "-", "-"
    return f"{entry.average_precision:.1f}", entry.finds


def _size(entry: "Entry") -> str:
    """Return the size of the file here; of one that is not, about what its float32 parameters take."""
    if entry.size is None:
        return f"~{4 * entry.parameters / 1e6:.0f} MB"
    return f"{entry.size / 1e6:.0f} MB"


def _row(entry: "Entry") -> dict[str, Any]:
    return {**entry._asdict(), "file": str(entry.file) if entry.file else None}
