"""The user's mistakes, told apart from those of the program: only they end without a traceback."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """The user's mistake, in one sentence that says what to do."""


class MissingPackageError(ModuleNotFoundError, UserError):
    """A package that only some need is not installed."""


class NotFiniteError(FloatingPointError, UserError):
    """A loss or a weight that is no number any more: mostly of a learning rate or of the data."""


def is_mistake(error: BaseException) -> bool:
    """Return whether the sentence of an error says all: it is a `UserError`, or of a file.

    With SOLO_DEBUG=1 in the environment none is.
    """
    return isinstance(error, (UserError, OSError)) and os.environ.get("SOLO_DEBUG") != "1"


def shortened(name: str, most: int = 200) -> str:
    """Return a name that fits into a sentence: of a long one the begin and the end."""
    return name if len(name) <= most else f"{name[: most // 2]} ... {name[-most // 2 :]}"


@contextmanager
def told_as(what: str, advice: str = "") -> Iterator[None]:
    """Turn what a library raises for something of the user's into a sentence.

    Only for the lines that read it: elsewhere these errors are those of the program.

    Args:
        what: Its beginning: which file, data set or key cannot be used.
        advice: Its end: what to do.

    Raises:
        UserError: In place of AssertionError, ValueError, such as that of a file that is no json,
            and KeyError, as of a field that is missing.
    """
    try:
        yield
    except UserError:
        raise
    except (AssertionError, KeyError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{what}: {reason}{advice}") from error


@contextmanager
def exit_on() -> Iterator[None]:
    """Turn the user's mistakes into `error: <sentence>` and exit status 1; let all else through.

    Raises:
        SystemExit: If :func:`is_mistake`.
    """
    try:
        yield
    except Exception as error:
        if not is_mistake(error):
            raise
        raise SystemExit(f"error: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    """Return what an error says; a worker of a data loader has put its traceback before that."""
    kind = type(error)
    return str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()
