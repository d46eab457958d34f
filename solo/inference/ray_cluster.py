"""The cluster of Ray that work is done on: the one that runs, or one of this machine for a while."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from solo.layers.cpu import usable_cores

# Of a local cluster, bytes: names of files and counts pass through it, no images. Ray takes 75 MB at least.
_STORE = 100_000_000
# A local cluster tells others nothing of its use, and people less of itself.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


@contextlib.contextmanager
def cluster(workers: int | None) -> Iterator[None]:
    """Take the cluster that runs, or start one on this machine and end it."""
    import ray  # whose absence `solo.inference.ray` tells

    if ray.is_initialized():
        yield
        return
    own: dict[str, Any] = {}
    is_local = not os.environ.get("RAY_ADDRESS")
    if is_local:
        cores = max(usable_cores(), workers or 1)
        own = {"address": "local", "num_cpus": cores, "object_store_memory": _STORE}
        own["include_dashboard"] = False
    with _quiet(_QUIET if is_local else {}):
        try:
            with _sigterm_as_before():
                ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _quiet(words: Mapping[str, str]) -> Iterator[None]:
    """Lay words over the environment, and have Ray print no plans, and no traceback of each worker that dies.

    All of it is in Ray's logs.
    """
    added = {name: word for name, word in words.items() if name not in os.environ}
    handlers = [
        (handler, handler.level)
        for handler in logging.getLogger("ray.data").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    ray_logger = logging.getLogger("ray")  # whose level `ray.init` sets
    level = ray_logger.level
    os.environ.update(added)
    for handler, _ in handlers:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        for handler, before in handlers:
            handler.setLevel(before)
        ray_logger.setLevel(level)


@contextlib.contextmanager
def _sigterm_as_before() -> Iterator[None]:
    """Undo what Ray does to the handler of a signal."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # None: a handler that is none of Python's, and that nobody can set again.
        if is_main and before is not None:
            signal.signal(signal.SIGTERM, before)
