"""For starts of several processes: where they meet, and how they are stopped."""

import signal
import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def free_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def control_c_is_heard() -> Iterator[None]:
    # A shell ignores Ctrl-C for what it runs in the background, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
