"""--import MODULE: what a user registers with detectron2, without a line changed here.

A flag and no key: a config may come from a stranger, and must run no code.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from solo.errors import UserError


class _Import(argparse.Action):
    """Import each module as soon as it is named, and note its name for other processes."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        names = [*getattr(namespace, self.dest), str(values)]
        try:
            import_modules(names)
        except UserError as error:
            parser.error(str(error))
        setattr(namespace, self.dest, names)


def add_import(parser: argparse._ActionsContainer) -> None:
    """Add --import MODULE, which may be given several times; the names are `imports`."""
    parser.add_argument(
        "--import",
        dest="imports",
        action=_Import,
        default=[],
        metavar="MODULE",
        help="module of yours that registers a backbone, a head or a data set; may be repeated",
    )


def import_modules(names: Iterable[str]) -> None:
    """Import modules, installed ones or of the working directory, as `python -m` finds them.

    Raises:
        UserError: If there is no such module.
    """
    for name in names:
        if not {"", os.getcwd()} & set(sys.path):
            sys.path.insert(0, os.getcwd())
        missing = (
            f"--import {name}: there is no such module, neither installed nor in {os.getcwd()}; give "
            "a name as after Python's import, such as mine or mine.backbone."
        )
        if name[:1] in ("", "."):  # a relative name, or a path
            raise UserError(missing)
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and lacks another one
            raise UserError(missing) from error
