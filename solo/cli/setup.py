"""Bring detectron2, which is on no package index, and check what else is needed.

detectron2 0.6 comes without its compiled operators, in seconds and without a compiler; one that is there is
left alone. Where OpenCV cannot be imported, as on a server without libGL, it is replaced by the one without
windows. Nothing else is installed. The exit status is 0 if solo can run.

example: solo setup
"""

import argparse

from solo.environment.detectron2 import find_detectron2, install_detectron2
from solo.environment.extras import look_at_extras
from solo.environment.needs import look
from solo.environment.opencv import mend_opencv, twice_installed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument("--check", action="store_true", help="only look, and install nothing")


def run(args: argparse.Namespace) -> int:
    """Bring what is missing, say what is there, and return whether solo can run."""
    if not args.check:
        if find_detectron2() is None:
            install_detectron2(_say)
        mend_opencv(_say)
    works = _print_needs()
    _print_extras()
    if works:
        _say("\nAll that solo needs is there.")
    else:
        _say(f"\nsolo cannot run yet{': `solo setup` brings what it can' * args.check}.")
    return 0 if works else 1


def _print_needs() -> bool:
    """Print what solo cannot do without; return whether all of it works."""
    needs = look()
    for name, found in needs.items():
        _say(f"{name:13}{'' if found.ok else 'NO: '}{found.text}")
    twice = twice_installed()
    if twice:
        _say(f"{'cv2':13}{twice}")
    return all(found.ok for found in needs.values())


def _print_extras() -> None:
    extras = look_at_extras()
    if extras:
        _say("\nNot everybody needs:")
    width = max((len(extra.brings) for extra in extras), default=0) + 2
    for extra in extras:
        state = f"pip install {' '.join(extra.missing)}" if extra.missing else "there"
        _say(f"{extra.name:13}{extra.brings:{width}}{state}")


def _say(text: str) -> None:
    print(text, flush=True)
