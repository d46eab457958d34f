"""Find instances with an exported OpenVINO model: as solo_runtime.py, with openvino in place of onnxruntime.

This file needs runtime.py of its package and no other; the export puts copies of both, solo_openvino.py and
solo_runtime.py, beside each model.

    model = OpenVINOModel("model.xml")
    found = model(read_image("photo.jpg"))  # both out of solo_openvino
"""

import os
import threading
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING or __package__:
    from solo.export.runtime import Graph, Model, load_by, main, read_image
else:
    from solo_runtime import Graph, Model, load_by, main, read_image

__all__ = ["OpenVINOModel", "read_image"]
METADATA_KEY, CHECKSUM_KEY = "solo", "solo_checksum"


class OpenVINOModel(Model):
    """An exported model, run by OpenVINO on the CPU; see `Model`."""

    def __init__(
        self, path: str | os.PathLike[str], *, threads: int = 0, bfloat16: bool = False
    ) -> None:
        """Load a model.

        Args:
            path: The .xml file of `solo export`; the .bin lies beside it.
            threads: Of the CPU; 0: all.
            bfloat16: Whether it may round to bfloat16: faster, where the CPU computes with it.

        Raises:
            FileNotFoundError, ValueError, RuntimeError: As `Model` does.
        """
        self._bfloat16 = bfloat16
        super().__init__(path, threads=threads)

    def _load(self, threads: int, providers: Sequence[str]) -> Graph:
        # Left alone, it rounds to bfloat16 wherever the CPU computes with it.
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if self._bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }

        def load(library: Any) -> Graph:
            core = library.Core()
            model = core.read_model(self._path)
            _check_weights(model, os.path.splitext(self._path)[0] + ".bin")
            has_metadata = model.has_rt_info(METADATA_KEY)
            metadata = model.get_rt_info(METADATA_KEY).astype(str) if has_metadata else None
            graph = core.compile_model(model, "CPU", options)
            turn = threading.Lock()  # it serves one thread at a time

            def run(inputs: np.ndarray) -> list[np.ndarray]:
                with turn:
                    return [*graph([inputs]).values()]

            return [output.any_name for output in graph.outputs], metadata, run

        return load_by("openvino", self._path, load)


def checksum_of(path: str | os.PathLike[str]) -> str:
    """Return the checksum of a file, without all of it in memory."""
    checksum = 0
    with open(path, "rb") as file:
        while part := file.read(2**20):
            checksum = zlib.crc32(part, checksum)
    return f"{checksum:08x}"


def _check_weights(model: Any, path: str) -> None:
    """Raise a ValueError if a file of weights is not that which a graph was written with; older graphs do not say."""
    expected = model.has_rt_info(CHECKSUM_KEY) and model.get_rt_info(CHECKSUM_KEY).astype(str)
    if expected and expected != checksum_of(path):
        raise ValueError(f"{path} is of another export: take both files of one")


if __name__ == "__main__":
    main(load=OpenVINOModel)
