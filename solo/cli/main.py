"""`solo VERB ...`: finds the file of a verb, and turns mistakes into sentences."""

import difflib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import solo
from solo.cli._parser import MisuseError, build_parser
from solo.errors import exit_on
from solo.terminal import prepare_process, show_messages, stopped_by

VERBS = {
    "setup": "bring detectron2, which is on no package index, and check what else is needed",
    "predict": "find and draw the objects on images, in videos, before a camera",
    "serve": "a web page that finds the objects on the images dropped on it",
    "train": "train a model, on data of yours without a config",
    "eval": "the AP of a model, or of an exported file, on a data set",
    "export": "write a model as ONNX or for OpenVINO, and compare the file with the model",
    "zoo": "the published models, to name or to download",
    "data": "check, survey, show or convert a data set",
    "report": "what a training run learned and gets wrong, as a page or as pictures",
    "benchmark": "time and memory, stage by stage",
    "convert": "a checkpoint of another SOLO, to ours or to mmdetection's layout",
}
DATA_VERBS = {
    "check": "what is broken in a data set",
    "survey": "sizes of objects; proposes levels, grids and input size",
    "show": "images as training sees them; which cell learns which object",
    "convert": "annotations of any format that is read, to COCO's or YOLO's",
    "digits": "make the embedded data set ahead of training",
}
BENCHMARK_VERBS = {
    "infer": "inference, from the image to run lengths",
    "train": "a step of training",
    "cpu": "what this CPU has, and what was chosen for it",
}
# Verbs of verbs.
GROUPS = {"data": DATA_VERBS, "benchmark": BENCHMARK_VERBS}
EXAMPLES = {
    "": "solo predict photo.jpg",
    "data": "solo data check --annotations cats/train.json --images cats/images",
    "benchmark": "solo benchmark cpu",
}
# These need no detectron2.
_BARE = ("solo.cli.setup",)
# What a shell reports for a program that Ctrl-C ended.
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `solo` with these arguments; None: with those of the process.

    Returns:
        The exit status: 0 if all went well.

    Raises:
        SystemExit: The user's mistake, with a sentence; or help was asked for.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    names = [_read_verb("", VERBS, words)]
    if names[0] in GROUPS:
        names.append(_read_verb(names[0], GROUPS[names[0]], words[1:]))
    return run_verb(".".join(["solo.cli", *names]), " ".join(["solo", *names]), words[len(names) :])


def run_verb(name: str, program: str, words: Sequence[str]) -> int:
    """Run the module of a verb with its arguments, and return the exit status.

    Args:
        name: Of the module: it has a docstring whose last paragraph is an example,
            `add_arguments(parser)`, and `run(args)`, which returns an exit status or None.
        program: What the user calls it.
        words: The arguments.
    """
    prepare_process()
    show_messages()
    try:
        with exit_on():
            verb = importlib.import_module(name)
            parser = build_parser(program, verb.__doc__ or "")
            verb.add_arguments(parser)
            args = parser.parse(words)
            if name not in _BARE:
                solo.register()
            try:
                status = verb.run(args)
            except MisuseError as error:
                parser.error(str(error))
            sys.stdout.flush()
            return int(status or 0)
    except KeyboardInterrupt as stop:
        print(f"{stopped_by(stop)}.", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Of `solo zoo | head`: nobody reads any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _read_verb(group: str, verbs: Mapping[str, str], words: Sequence[str]) -> str:
    """Return the first word, a verb; or print help, or stop at a word that is none."""
    program = f"solo {group}".strip()
    if not words or words[0] in ("-h", "--help"):
        print(_help(group, program, verbs))
        raise SystemExit(0 if words else 2)
    if words[0] in ("-V", "--version"):
        print(f"solo {solo.__version__}")
        raise SystemExit(0)
    if words[0] not in verbs:
        close = difflib.get_close_matches(words[0], verbs, n=1)
        meant = f"did you mean `{program} {close[0]}`?" if close else f"one of {', '.join(verbs)}."
        sys.stderr.write(f"error: `{program}` has no verb {words[0]!r}: {meant}\n")
        raise SystemExit(2)
    return words[0]


def _help(group: str, program: str, verbs: Mapping[str, str]) -> str:
    width = max(map(len, verbs)) + 2
    return "\n".join(
        [
            f"usage: {program} VERB ...",
            "",
            VERBS.get(group, "box-free instance segmentation: SOLO, Decoupled SOLO and SOLOv2"),
            "",
            *(f"  {verb:{width}}{what}" for verb, what in verbs.items()),
            "",
            f"`{program} VERB --help` tells more of each.",
            f"example: {EXAMPLES[group]}",
        ]
    )
