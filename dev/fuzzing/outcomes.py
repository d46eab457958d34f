"""What became of a case: fine, told in a sentence, or a failure with the place that it comes from."""

import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from solo.data.findings import Finding
from solo.errors import UserError

ROOT = Path(__file__).parents[2]
# A sentence that is longer is not read.
_MAX_LENGTH = 600


class Verdict(str, Enum):
    """From the best to the worst."""

    OK = "ok"
    TOLD = "told"
    NO_SENTENCE = "no sentence"
    WRONG = "silently wrong"
    EXCEPTION = "exception"
    CLEAN = "clean but fails"
    DEAD = "dead"

    @property
    def is_failure(self) -> bool:
        """Whether there is something to mend."""
        return self not in (Verdict.OK, Verdict.TOLD)


_SEVERITY = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Outcome(NamedTuple):
    """What became of a case.

    Attributes:
        verdict: The one word.
        what: The class of the error, or what is wrong.
        where: The innermost line of solo that took part.
        text: What the user reads.
        trace: The traceback, or what a dead process printed last.
    """

    verdict: Verdict
    what: str = ""
    where: str = ""
    text: str = ""
    trace: str = ""


OK = Outcome(Verdict.OK)


def attempt(
    names: Sequence[str], function: Callable[..., Any], *args: Any, **kwargs: Any
) -> tuple[Outcome, Any]:
    """Call a function; return what became of that, and what it returned.

    Args:
        names: What a sentence may call the file; one of them has to be in it.
        function: Called with all else.
        args: Of the function.
        kwargs: Of the function.
    """
    try:
        return OK, function(*args, **kwargs)
    except Exception as error:
        return judge(error, names), None


def judge(error: BaseException, names: Sequence[str]) -> Outcome:
    """Tell a sentence that helps from everything else that may be raised."""
    what, text, verdict = type(error).__name__, str(error), Verdict.TOLD
    if not isinstance(error, UserError | OSError):
        verdict = Verdict.EXCEPTION
    elif fault := _fault_of(text, names):
        verdict, what = Verdict.NO_SENTENCE, f"{what} {fault}"
    trace = "".join(traceback.format_exception(error))
    return Outcome(verdict, what, _innermost(error), text, trace)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome to mend first; OK if there is none."""
    return max(outcomes, key=lambda outcome: _SEVERITY[outcome.verdict], default=OK)


def wrong(what: str, where: str, text: str = "") -> Outcome:
    """Return the outcome of a case that ended without a word, and with a wrong result."""
    return Outcome(Verdict.WRONG, what, where, text)


def errors_among(findings: Iterable[Finding]) -> list[str]:
    """Return what the check says has to be mended."""
    return [str(finding) for finding in findings if finding.kind.is_error]


def frame_of_dump(dump: str) -> str:
    """Return the innermost line of solo in what `faulthandler` printed."""
    frames = re.findall(rf'File "{re.escape(str(ROOT))}/(solo/\S+)", line (\d+)', dump)
    return ":".join(frames[0]) if frames else ""


def _fault_of(text: str, names: Sequence[str]) -> str:
    if not any(name in text for name in names):
        return "names no file"
    if len(text) > _MAX_LENGTH:
        return "is too long"
    return "has several lines" if "\n" in text.strip() else ""


def _innermost(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(f"{ROOT}/solo/")]
    if not (ours or frames):
        return ""
    frame = (ours or frames)[-1]
    return f"{frame.filename.removeprefix(f'{ROOT}/')}:{frame.lineno}"
