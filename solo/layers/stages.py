"""Marks that say which stage of the work runs: to whoever listens, and to torch.profiler.

Not torch.profiler.record_function itself: it costs 4 microseconds where nobody looks, a mark of ours 0.7, and
torch.jit.trace writes it into its graphs. Nor is the profiler a stopwatch: it doubles the time of small
operations, does not wait for the device where a stage ends, and does not count the operations of a stage.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from torch.autograd import profiler

Listener = Callable[[str], AbstractContextManager[None]]
"""Gets the name of a stage, and is entered and left with it."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Mark a body, or the function that is decorated, as a stage.

    In a trace of torch.profiler it has the name `solo::<name>`.

    Args:
        name: Stages of one name are one stage, wherever they are.
    """
    listener = _LISTENER.get()
    if listener:
        with listener(name):
            yield
    elif profiler._is_profiler_enabled:
        with profiler.record_function(f"solo::{name}"):
            yield
    else:
        yield


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let a listener hear of the stages of this thread while the body runs."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
