"""Whoever waits for another machine says so, can be stopped, and gives up with a sentence."""

import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from solo.training import LaunchError, launch, meeting
from solo.training.meeting import connect, meet


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "TIMEOUT", timedelta(seconds=0.5))
    monkeypatch.setattr(meeting, "_REMINDER", 0.2)
    monkeypatch.setattr(meeting, "_PAUSE", 0.01)


@pytest.mark.parametrize(("mine", "other"), [(0, 1), (1, 0)])
def test_a_machine_that_does_not_come_is_told_until_time_is_up(
    free_url: str, caplog: pytest.LogCaptureFixture, mine: int, other: int
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(LaunchError, match=f"No machine of rank {other} came to {free_url} within"),
    ):
        launch(print, num_gpus=0, num_machines=2, machine_rank=mine, dist_url=free_url)
    waits = [line for line in caplog.messages if line.startswith(f"Waiting at {free_url}")]
    assert 2 <= len(waits) <= 3
    assert all(f"--machine-rank {other}." in line for line in waits)


def test_machines_meet_in_any_order(free_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "TIMEOUT", timedelta(seconds=20))
    with ThreadPoolExecutor() as threads:
        came = [threads.submit(meet, free_url, 3, rank) for rank in (2, 1, 0)]
    for machine in came:
        store, url = machine.result()
        store.set("greeting", "hello")
        assert connect(url).get("greeting") == b"hello"


@pytest.mark.parametrize("rank", [0, 1])
def test_control_c_ends_the_waiting(
    free_url: str, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    monkeypatch.setattr(meeting, "TIMEOUT", timedelta(seconds=60))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(SystemExit) as caught:
        launch(print, num_gpus=0, num_machines=2, machine_rank=rank, dist_url=free_url)
    assert caught.value.code == 130


def test_a_port_in_use_is_told(free_url: str) -> None:
    port = int(free_url.rpartition(":")[2])
    with (
        socket.create_server(("", port)),
        pytest.raises(LaunchError, match=f"Port {port} of this machine is in use.*--dist-url"),
    ):
        launch(print, num_gpus=2, num_machines=1, dist_url=free_url)


@pytest.mark.parametrize("url", ["tcp://gpu1", "gpu1:2", "tcp://gpu1:many", "http://"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(LaunchError, match=f"--dist-url {url}: give .* tcp://HOST:PORT"):
        launch(print, num_gpus=0, num_machines=2, dist_url=url)


def test_an_address_of_another_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "_REPLY", timedelta(seconds=0.2))
    with pytest.raises(LaunchError, match=r"nowhere\.invalid is no address of this machine"):
        meet("tcp://nowhere.invalid:29501", 2)
