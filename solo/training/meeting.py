"""Machines of a training meet before any of them starts a worker: so that whoever waits can say so, and can be stopped."""

import logging
import socket
import time
from datetime import timedelta
from urllib.parse import urlsplit

from torch._C._distributed_c10d import TCPStore  # torch.distributed has it, but does not export it
from torch.distributed import DistError

from solo.errors import UserError

TIMEOUT = timedelta(minutes=30)  # of the meeting, and of each exchange of the workers later
_REMINDER = 30.0  # seconds between two lines about who is waited for
_PAUSE = 0.2  # seconds between two looks
_REPLY = timedelta(seconds=10)  # within which a store that is there answers

logger = logging.getLogger(__name__)


class LaunchError(UserError):
    """The processes that were asked for cannot be started here."""


def meet(url: str, num_machines: int = 1, machine_rank: int = 0) -> tuple[TCPStore, str]:
    """Wait until all machines are there.

    Args:
        url: "tcp://host:port" of the machine of rank 0, the same on all; port 0: a free one.
        num_machines: How many there are.
        machine_rank: Which of them this is, from 0.

    Returns:
        store: What the workers of all machines meet at; that of rank 0 has to be kept until they end.
        url: The address of it, with its port.

    Raises:
        LaunchError: If the address is wrong or taken, or a machine does not come.
    """
    host, port = _address(url)
    store = _open(host, port) if machine_rank == 0 else None
    end, reminder = time.monotonic() + TIMEOUT.total_seconds(), 0.0
    while True:
        try:
            store = store or _join(host, port)
            store.set(f"machine {machine_rank}", "here")
            absent = [k for k in range(num_machines) if not store.check([f"machine {k}"])]
            if not absent:
                store.set(f"machine {machine_rank} saw all", "")
                if machine_rank == 0:  # who has the store keeps it until the others have looked
                    seers = [f"machine {k} saw all" for k in range(num_machines)]
                    absent = [k for k, seer in enumerate(seers) if not store.check([seer])]
        except (OSError, DistError):
            store, absent = None, [0]
        if store and not absent:
            return store, url if port else f"tcp://{host}:{store.port}"
        who, now = " and ".join(map(str, absent)), time.monotonic()
        if now > end:
            raise LaunchError(
                f"Machine {who} of {num_machines} (counted from 0) did not come to {url} within "
                f"{TIMEOUT.total_seconds() / 60:g} minutes: start the same command there with "
                f"--machine-rank {who}, and see that it reaches this address."
            )
        if now > reminder:
            reminder = now + _REMINDER
            logger.warning(
                "Waiting for machine %s of %d (counted from 0) at %s: start the same command there with "
                "--machine-rank %s.",
                *(who, num_machines, url, who),
            )
        time.sleep(_PAUSE)


def connect(url: str) -> TCPStore:
    """Return, in a worker, the store of the machine of rank 0."""
    host, port = _address(url)
    return TCPStore(host, port, is_master=False, timeout=TIMEOUT)


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:  # a port that is no number
        pass
    raise LaunchError(f"--dist-url {url}: give the address of machine 0 as tcp://HOST:PORT.")


def _open(host: str, port: int) -> TCPStore:
    """Open the store on this machine, without waiting for anyone."""
    try:
        return TCPStore(host, port, is_master=True, wait_for_workers=False, timeout=_REPLY)
    except DistError as error:
        if "EADDRINUSE" in str(error):
            raise LaunchError(
                f"Port {port} of this machine is in use, perhaps by a training that runs still or that "
                f"left a process (`ss -ltnp | grep :{port}` shows it): give another --dist-url, on all "
                "machines."
            ) from error
        raise LaunchError(
            f"--dist-url tcp://{host}:{port}: {host} is no address of this machine, which has "
            "--machine-rank 0; give one on all machines."
        ) from error


def _join(host: str, port: int) -> TCPStore:
    # TCPStore alone would try for long, deaf to Ctrl-C, and print a warning each time.
    socket.create_connection((host, port), timeout=_REPLY.total_seconds()).close()
    return TCPStore(host, port, is_master=False, timeout=_REPLY)
