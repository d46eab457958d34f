"""Where the time of exported files goes in OpenVINO: by the kinds of their layers and what runs these.

Examples:
    python benchmarks/openvino_layers.py float/model.xml int8/model.xml --image photo.jpg

Milliseconds an image, medians over turns that the files take; a kind is left out where it takes less than a
hundredth of the first file. The kernel says in which precision a layer is run: f32, bf16, i8 or u8.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
from tabulate import tabulate

from solo.export import runtime
from solo.export.openvino_runtime import OpenVINOModel

Kind = tuple[str, str]  # of a layer, and the kernel that runs it


class Profiled:
    """A file that tells how long each of its layers took."""

    def __init__(self, path: Path, threads: int, *, bfloat16: bool = False) -> None:
        """Load a file of `solo export --format openvino`."""
        self.rules = OpenVINOModel(path).metadata["input"]
        options = {
            "PERF_COUNT": True,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        }
        self._request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()

    def times(self, inputs: np.ndarray) -> dict[Kind, float]:
        """Run it, and return the milliseconds of each kind."""
        self._request.infer([inputs])
        found: dict[Kind, float] = defaultdict(float)
        for layer in self._request.get_profiling_info():
            found[layer.node_type, layer.exec_type] += layer.real_time.total_seconds() * 1000
        return found


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.xml")
    parser.add_argument("--image", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--bfloat16", action="store_true", help="in bfloat16, but for what is in 8 bits"
    )
    args = parser.parse_args()
    files = [Profiled(path, args.threads, bfloat16=args.bfloat16) for path in args.files]
    inputs = runtime.prepare(runtime.read_image(args.image), files[0].rules)[0]
    turns = [[file.times(inputs) for file in files] for _ in range(args.rounds)]
    medians = [_medians([turn[index] for turn in turns]) for index in range(len(files))]
    total = [sum(kinds.values()) for kinds in medians]
    rows = [
        [*kind, *(kinds.get(kind, 0) for kinds in medians)]
        for kind in sorted({kind for kinds in medians for kind in kinds})
        if max(kinds.get(kind, 0) for kinds in medians) > total[0] / 100
    ]
    headers = ["layer", "kernel", *map(str, args.files)]
    rows = sorted(rows, key=lambda row: -row[2])
    print(tabulate([*rows, ["all", "", *total]], headers, floatfmt=".2f"))


def _medians(turns: Sequence[dict[Kind, float]]) -> dict[Kind, float]:
    kinds = {kind for turn in turns for kind in turn}
    return {kind: float(np.median([turn.get(kind, 0) for turn in turns])) for kind in kinds}


if __name__ == "__main__":
    main()
