"""Start a function in as many processes as training uses: torchrun's, spawned ones, or this one."""

import atexit
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from detectron2.utils import comm
from torch import distributed
from torch.multiprocessing.spawn import ProcessExitedException, spawn

from solo.layers import cpu
from solo.training.meeting import TIMEOUT, LaunchError, connect, meet

_FAREWELL = 5.0  # seconds that workers have to end after Ctrl-C
_STOPPED = 130  # what a shell reports for a program that Ctrl-C ended
# Signals that people and schedulers send; by others a machine ends what takes too much of it.
_OF_A_JOB = ("SIGTERM", "SIGINT", "SIGHUP")
logger = logging.getLogger(__name__)


class _Place(NamedTuple):
    """Where a process stands among all of them."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int


def launch(
    main: Callable[..., Any],
    args: tuple[Any, ...] = (),
    *,
    num_gpus: int = 1,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
) -> None:
    """Call ``main(*args)`` in every process of a training.

    Under torchrun, join the group that it set up. Otherwise spawn ``num_gpus`` processes on this
    machine where several are asked for, and call ``main`` here where not. Processes talk NCCL
    where there are GPUs and gloo where there are none; then ``num_gpus`` counts CPU processes.

    Args:
        main: A function that the processes can import, so no lambda and no closure.
        args: Its arguments; they are pickled.
        num_gpus: Processes on this machine; 0 and 1: this one.
        num_machines: Machines, each of which calls this function with the same ``dist_url``.
        machine_rank: Which of the machines this is, from 0.
        dist_url: Where the processes meet, "tcp://host:port"; "auto": a free port of this machine.

    Raises:
        LaunchError: If more GPUs than there are, numbers that contradict each other, or machines that do
            not meet.
        SystemExit: If a spawned process ended with an exit status of its own, or with Ctrl-C.
    """
    if under_torchrun():
        _join_torchrun(main, args)
        return
    _check_counts(num_gpus, num_machines, machine_rank)
    num_gpus = max(num_gpus, 1)
    if num_gpus * num_machines <= 1:
        main(*args)
        return
    if not torch.cuda.is_available():
        logger.warning("No GPU was found: %d processes on the CPU, by gloo.", num_gpus)
    url = _resolve_url(dist_url, num_machines)
    try:
        if not url.startswith(("env:", "file:")):
            # Open for as long as it has a name here: until the workers have ended.
            _store, url = meet(url, num_machines, machine_rank)
        _spawn(num_gpus, (num_gpus, num_machines, machine_rank, url, main, args))
    except KeyboardInterrupt as stop:
        _end_children(*stop.args)
        raise SystemExit(_STOPPED) from None


def is_first_process(machine_rank: int) -> bool:
    """Tell, before :func:`launch`, whether this process is, or will start, the first worker of all."""
    return int(os.environ["RANK"]) == 0 if under_torchrun() else machine_rank == 0


def under_torchrun() -> bool:
    """Tell whether torchrun started this process."""
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys()


def _spawn(count: int, args: tuple[Any, ...]) -> None:
    """Run processes until all have ended, or one of them with an exit status of its own."""
    try:
        spawn(_spawned, nprocs=count, args=args)
    except ProcessExitedException as error:
        if error.signal_name in _OF_A_JOB:
            logger.error("A worker was stopped by %s.", error.signal_name)
            raise SystemExit(_STOPPED) from error
        if error.signal_name:
            raise SystemExit(
                f"A worker was ended by {error.signal_name}, which is what a machine out of memory "
                "does; a smaller SOLVER.IMS_PER_BATCH needs less."
            ) from error
        # The process has said why; a traceback of this one would only hide that.
        raise SystemExit(error.exit_code) from error


def _end_children(signal_name: str = "SIGINT") -> None:
    """Let the workers say where they stopped, and end those that do not hear it, as in a collective.

    Ctrl-C has reached them already, by the terminal; SIGTERM may be for this process alone.
    """
    end = time.monotonic() + _FAREWELL
    children = multiprocessing.active_children()
    for child in children if signal_name == "SIGTERM" else ():
        child.terminate()
    for child in children:
        child.join(max(0.0, end - time.monotonic()))
        child.kill()
        child.join()


def _check_counts(num_gpus: int, num_machines: int, machine_rank: int) -> None:
    if num_gpus < 0 or num_machines < 1:
        raise LaunchError(
            f"--num-gpus {num_gpus} --num-machines {num_machines}: give at least one machine."
        )
    if not 0 <= machine_rank < num_machines:
        raise LaunchError(
            f"--machine-rank {machine_rank}: with --num-machines {num_machines}, machines have "
            f"the ranks 0 to {num_machines - 1}."
        )
    _check_gpus(num_gpus, "--num-gpus")


def _check_gpus(count: int, flag: str) -> None:
    if torch.cuda.is_available() and count > torch.cuda.device_count():
        raise LaunchError(
            f"{flag} {count}: this machine shows {torch.cuda.device_count()} GPU(s); ask for as "
            "many at most, or look at CUDA_VISIBLE_DEVICES."
        )


def _resolve_url(url: str, num_machines: int) -> str:
    if url != "auto":
        return url
    if num_machines > 1:
        raise LaunchError(
            f"--dist-url auto works on one machine only: with --num-machines {num_machines}, give "
            "every machine the same --dist-url tcp://HOST:PORT of the machine of rank 0."
        )
    return "tcp://127.0.0.1:0"


def _spawned(
    local_rank: int,
    local_size: int,
    num_machines: int,
    machine_rank: int,
    url: str,
    main: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    if not torch.cuda.is_available():
        # Processes that each take all cores only get in each other's way.
        torch.set_num_threads(max(1, cpu.usable_cores() // local_size))
    rank = machine_rank * local_size + local_rank
    _run_in_group(_Place(rank, local_size * num_machines, local_rank, local_size), url, main, args)


def _join_torchrun(main: Callable[..., Any], args: tuple[Any, ...]) -> None:
    world_size = int(os.environ["WORLD_SIZE"])
    place = _Place(
        rank=int(os.environ["RANK"]),
        world_size=world_size,
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", world_size)),
    )
    _check_gpus(place.local_size, "torchrun --nproc-per-node")
    _run_in_group(place, "env://", main, args)


def _run_in_group(place: _Place, url: str, main: Callable[..., Any], args: tuple[Any, ...]) -> None:
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(place.local_rank)
    store = connect(url) if url.startswith("tcp:") else None
    distributed.init_process_group(
        backend="nccl" if has_gpu else "gloo",
        init_method=None if store else url,
        store=store,
        world_size=place.world_size,
        rank=place.rank,
        timeout=TIMEOUT,
    )
    _create_local_group(place)
    comm.synchronize()
    try:
        main(*args)
    except SystemExit as end:
        atexit.register(_end_now, end.code)
        raise
    # Not after an error: another process may be in the middle of a collective, and this one would
    # wait for it instead of ending with its message.
    comm._LOCAL_PROCESS_GROUP = None
    distributed.destroy_process_group()


def _end_now(code: str | int | None) -> None:
    """Keep the exit status: a thread of gloo that outlives the interpreter aborts the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _create_local_group(place: _Place) -> None:
    """Tell detectron2, any version of it, which processes share this machine."""
    for first in range(0, place.world_size, place.local_size):
        # Every process has to take part in the creation of every group.
        group = distributed.new_group(list(range(first, first + place.local_size)))
        if first <= place.rank < first + place.local_size:
            comm._LOCAL_PROCESS_GROUP = group
