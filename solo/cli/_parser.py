"""What the verbs share: their help, the flags that mean the same in all of them, words in place of others."""

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from solo.errors import UserError
from solo.user_modules import add_import

# A key of a config: MODEL.DEVICE, OUTPUT_DIR, SEED. Files are seldom called so, but for those of cameras.
_KEY = re.compile(r"[A-Z][A-Z0-9]*(\.[A-Z0-9_]+)+|[A-Z0-9]+(_[A-Z0-9]+)+|SEED")
_OF_CAMERA = re.compile(r".*\.(JPE?G|PNG|BMP|TIFF?|WEBP|GIF|HEIC|MP4|MOV|AVI|MTS|M4V)")


class MisuseError(UserError):
    """Flags or words that do not go together: the status is 2, as of a flag that there is not."""


class Parser(argparse.ArgumentParser):
    """A parser that says which flag was meant, and lets flags and words come in any order."""

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the arguments in these words, or stop with a sentence and exit status 2."""
        # Before argparse looks for what is missing: that may be the word that is mistyped.
        for word in words:
            if word.startswith("--") and not self._is_known(word.partition("=")[0]):
                self.error(self._what_was_meant(word))
        args, unknown = self.parse_known_intermixed_args(list(words))
        if unknown:
            self.error(self._what_was_meant(unknown[0]))
        return args

    def error(self, message: str) -> NoReturn:
        """Print the mistake, and where help is, without the list of all flags."""
        self.exit(2, f"error: {message}\n`{self.prog} --help` tells the rest.\n")

    def _is_known(self, flag: str) -> bool:
        return flag in self._option_string_actions

    def _what_was_meant(self, word: str) -> str:
        flag = word.partition("=")[0]
        known = [name for name in self._option_string_actions if name.startswith("--")]
        close = difflib.get_close_matches(flag, known, n=1)
        meant = f"; did you mean {close[0]}?" if close else "."
        return f"`{self.prog}` does not know {flag}{meant}"


def build_parser(program: str, doc: str) -> Parser:
    """Return a parser whose help is the docstring of the verb's module.

    Args:
        program: What the user calls: "solo predict".
        doc: The docstring; the last paragraph, with an example, is printed below the flags.
    """
    description, _, example = doc.rpartition("\n\n")
    return Parser(
        prog=program,
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # A flag that is not known must not be taken for the beginning of another.
        allow_abbrev=False,
    )


def add_config(parser: argparse._ActionsContainer, text: str, *, required: bool = True) -> None:
    """Add --config with its help, --import and KEY VALUE."""
    add_config_name(parser, text, required=required)
    add_options(parser)


def add_config_name(
    parser: argparse._ActionsContainer, text: str, *, required: bool = False
) -> None:
    """Add --config with its help, also as detectron2 spells it; `config_file` is empty without it."""
    parser.add_argument(
        *("--config", "--config-file"),
        dest="config_file",
        required=required,
        default="",
        metavar="NAME",
        help=f"{text}: a yaml file, or a name of `solo zoo`",
    )


def add_options(parser: argparse._ActionsContainer) -> None:
    """Add --import, and KEY VALUE ... at the end to override keys of the config, as `opts`."""
    add_import(parser)
    parser.add_argument(
        "opts", nargs="*", default=[], metavar="KEY VALUE", help="keys of the config to override"
    )


def add_words(parser: argparse._ActionsContainer, metavar: str, text: str) -> None:
    """Add words such as files, which KEY VALUE may follow, as `words`; see :func:`split_words`."""
    add_import(parser)
    parser.add_argument("words", nargs="*", default=[], metavar=metavar, help=text)
    parser.add_argument_group("KEY VALUE ...", "keys of the config to override, at the end")


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words before the first key of a config, and KEY VALUE ... from there on."""
    for place, word in enumerate(words):
        is_key = _KEY.fullmatch(word) and not _OF_CAMERA.fullmatch(word)
        if is_key and not Path(word).exists():
            return list(words[:place]), list(words[place:])
    return list(words), []


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add --device."""
    parser.add_argument("--device", default="", help="default: cuda if there is one, else cpu")


def add_verbose(parser: argparse._ActionsContainer) -> None:
    """Add -v."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print all that goes to log.txt, too"
    )


def add_tiles(parser: argparse._ActionsContainer) -> None:
    """Add --tiles."""
    parser.add_argument(
        "--tiles",
        type=int,
        metavar="SIZE",
        help="look at images whose longer side is over SIZE pixels in overlapping tiles of SIZE",
    )


def add_annotations(parser: argparse._ActionsContainer) -> None:
    """Add --annotations, --format and --images: a data set that is not registered."""
    parser.add_argument("--annotations", metavar="PATH", help="annotations in any format")
    parser.add_argument(
        "--format", default="auto", metavar="WORD", help="of --annotations, if it is not told right"
    )
    parser.add_argument("--images", metavar="DIR", help="folder of the images of --annotations")


def read_size(text: str) -> tuple[int, int]:
    """Return the (H, W) of an argument HxW.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: give HEIGHTxWIDTH in pixels, as in 800x1344")
    return int(height), int(width)
