"""`solo predict` on a folder by one process, by two workers of Ray, by two of which one is killed midway, and by one worker.

All have to give the same JSON, byte by byte. Each worker, and the one process, has one thread.

Examples:
    python benchmarks/predict_at_scale.py photos/ --model output/cats
    nice -n 5 python benchmarks/predict_at_scale.py photos/ --config config.yaml --weights model_final.pth
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from solo.inference.parquet_files import parts_of
from solo.input_files import find_inputs

# By name: workers, and whether one is killed.
WAYS = {
    "one process": (0, False),
    "two workers, one killed midway": (2, True),
    "two workers": (2, False),
    "one worker": (1, False),
}
# Seconds between two looks.
_LOOK = 0.2


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, or end at the first JSON that differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", metavar="DIR")
    args, model = parser.parse_known_args(argv)
    os.environ["OMP_NUM_THREADS"] = "1"
    num_images = len(find_inputs([args.images]).images)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, (workers, kill) in WAYS.items():
            words = [args.images, *model, "--json", f"{folder}/{name}.json"]
            found = Path(folder, name)
            if workers:
                words += ["--parquet", str(found), "--workers", str(workers)]
            seconds = run(words, found, kill=kill)
            if (
                Path(folder, f"{name}.json").read_bytes()
                != Path(folder, "one process.json").read_bytes()
            ):
                raise SystemExit(f"{name}: another JSON than that of one process.")
            rows.append((name, seconds, num_images / seconds))
            size = sum(part.stat().st_size for part in parts_of(found)) / num_images
            print(*rows[-1], f"{size:.0f} bytes an image", flush=True)
    print(tabulate(rows, ("", "s", "images/s"), floatfmt=".1f", tablefmt="github"))


def run(words: Sequence[str], found: Path, *, kill: bool) -> float:
    """Run `solo predict`, and return the seconds that it takes, from start to end."""
    start = time.perf_counter()
    killed = threading.Event()
    with subprocess.Popen([sys.executable, "-m", "solo", "predict", *words]) as process:
        if kill:
            threading.Thread(target=kill_worker, args=(process, found, killed), daemon=True).start()
    if process.returncode:
        raise SystemExit(f"solo predict ended with {process.returncode}.")
    if kill and not killed.is_set():
        raise SystemExit(
            "No worker was killed: give more images, so that there are four files or more."
        )
    return time.perf_counter() - start


def kill_worker(process: "subprocess.Popen[bytes]", found: Path, killed: threading.Event) -> None:
    """Kill a worker of a process while it does a part, when three are written, and say so."""
    while process.poll() is None:
        time.sleep(_LOOK)
        workers = [pid for pid, name in descendants(process.pid) if "MapWorker" in name]
        if workers and len(parts_of(found)) >= 3:
            os.kill(workers[0], signal.SIGKILL)
            killed.set()
            print(f"killed {workers[0]} after {len(parts_of(found))} parts", flush=True)
            return


def descendants(root: int) -> list[tuple[int, str]]:
    """Return the processes that a process started, and those that these did, with their names."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    below = {root}
    while more := {int(pid) for pid, parent, _ in rows if int(parent) in below} - below:
        below |= more
    return [(int(pid), name) for pid, _, name in rows if int(pid) in below]


if __name__ == "__main__":
    main()
