"""Find instances with an exported OpenVINO model: as solo_runtime.py, with openvino in place of onnxruntime.

This file needs runtime.py of its package and no other; the export puts copies of both, solo_openvino.py and
solo_runtime.py, beside each model.

    model = OpenVINOModel("model.xml")
    found = model(read_image("photo.jpg"))  # both out of solo_openvino
"""

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING or __package__:
    from solo.export.runtime import Graph, Model, load_by, main, read_image
else:
    from solo_runtime import Graph, Model, load_by, main, read_image

__all__ = ["OpenVINOModel", "read_image"]
METADATA_KEY = "solo"


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
            has_metadata = model.has_rt_info(METADATA_KEY)
            metadata = model.get_rt_info(METADATA_KEY).astype(str) if has_metadata else None
            graph = core.compile_model(model, "CPU", options)
            turn = threading.Lock()  # it serves one thread at a time

            def run(inputs: np.ndarray) -> list[np.ndarray]:
                with turn:
                    return [*graph([inputs]).values()]

            return [output.any_name for output in graph.outputs], metadata, run

        return load_by("openvino", self._path, load)


if __name__ == "__main__":
    main(load=OpenVINOModel)
