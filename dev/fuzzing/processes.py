"""Each case in a process of its own: forked from this one, which has imported everything, with limits."""

import faulthandler
import json
import os
import re
import resource
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fuzzing.outcomes import Outcome, Verdict, frame_of_dump, judge

# Of what a dead process printed.
_MAX_PRINTED = 4000


class Limits(NamedTuple):
    """What a case may take.

    Attributes:
        memory: Bytes beyond what this process has mapped.
        cpu_seconds: Of computing.
        seconds: By the clock.
    """

    memory: int = 2 << 30
    cpu_seconds: int = 10
    seconds: int = 60


class _Child(NamedTuple):
    index: int
    pid: int
    pipe: int
    printed: int


def run_cases(
    run: Callable[[int], Outcome], indices: Iterable[int], *, jobs: int, limits: Limits
) -> Iterator[tuple[int, Outcome]]:
    """Run cases side by side, and yield what becomes of each, in the order in which they end.

    Args:
        run: From the number of a case to its outcome.
        indices: The numbers.
        jobs: So many processes at a time.
        limits: Of each.
    """
    waiting, running = iter(indices), {}
    try:
        while True:
            while len(running) < jobs and (index := next(waiting, None)) is not None:
                child = _start(run, index, limits)
                running[child.pipe] = child
            if not running:
                return
            for pipe in select.select(list(running), [], [])[0]:
                child = running[pipe]
                outcome = _finish(child)
                del running[pipe]
                yield child.index, outcome
    finally:
        for child in running.values():  # after Ctrl-C
            os.kill(child.pid, signal.SIGKILL)
            _finish(child)


def _start(run: Callable[[int], Outcome], index: int, limits: Limits) -> _Child:
    printed = os.memfd_create("printed")
    pipe, end = os.pipe()
    if not (pid := os.fork()):
        os.close(pipe)
        _be_child(run, index, limits, end, printed)
    os.close(end)
    return _Child(index, pid, pipe, printed)


def _be_child(
    run: Callable[[int], Outcome], index: int, limits: Limits, end: int, printed: int
) -> None:
    """Run a case, send what becomes of it, and end: never return."""
    try:
        for stream in (1, 2):
            os.dup2(printed, stream)
        _limit(limits)
        try:
            outcome = run(index)
        except BaseException as error:
            outcome = judge(error, ())
        os.write(end, json.dumps(outcome).encode())
    finally:
        os._exit(0)


def _limit(limits: Limits) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + limits.memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The place that it hangs or dies at, which no exception tells.
    faulthandler.enable(file=2, all_threads=False)
    for number in (signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
        faulthandler.register(number, file=2, all_threads=False, chain=True)
    signal.alarm(limits.seconds)


def _finish(child: _Child) -> Outcome:
    with os.fdopen(child.pipe, "rb") as pipe:
        sent = pipe.read()
    _, status = os.waitpid(child.pid, 0)
    with os.fdopen(child.printed, "rb") as printed:
        printed.seek(max(0, printed.seek(0, os.SEEK_END) - _MAX_PRINTED))
        tail = printed.read().decode(errors="replace")
    if sent and not status:
        verdict, *rest = json.loads(sent)
        return Outcome(Verdict(verdict), *rest)
    number = -os.waitstatus_to_exitcode(status)
    what = signal.Signals(number).name if number > 0 else f"exit status {-number}"
    # Before the frames: what C++ says of its end.
    lines = [
        line
        for line in re.split("Fatal Python|Current thread", tail)[0].split("\n")
        if "\r" not in line
    ]
    text = "\n".join(lines).strip().rpartition("\n")[2]
    return Outcome(Verdict.DEAD, what, frame_of_dump(tail), text, tail)
