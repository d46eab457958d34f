"""What can be exported to: the words, and what each format of file has to do."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch.export import ExportedProgram

from solo.config.word import Word
from solo.export.quantization import CalibrationImages

Run = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""From the (1, 3, H', W') float32 input of an exported model to its outputs."""


class ExportFormat(Word):
    """What a model is exported to."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH_EXPORT = "torch_export"


class Post(Word):
    """What of the test procedure is in the file: with the suppression, or all candidates."""

    NMS = "nms"
    RAW = "raw"


class FileFormat(Protocol):
    """A format of file."""

    name: str  # for people
    suffixes: tuple[str, ...]  # of its files, which have one name; the first is the one to open
    packages: tuple[str, ...]  # what has to be installed beside torch
    smallest: int  # least side of an input, in multiples of the divisor, if files take any size
    companions: Mapping[str, Path]  # copied beside it, by the names that they get

    def write(self, program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
        """Write a program of `trace`, with its weights, and the metadata inside.

        Args:
            program: Takes one tensor, the image.
            path: The file, or the first of the files.
            metadata: What can be written as JSON; "outputs" are the names of the outputs, in order.

        Raises:
            OSError: It could not be written; no part of it is left.
        """
        ...

    def open(self, path: Path) -> Run:
        """Return what runs a file that was written."""
        ...


class QuantizedFormat(FileFormat, Protocol):
    """A format that has models in 8 bits."""

    def quantize(self, path: Path, images: CalibrationImages, metadata: dict[str, Any]) -> None:
        """Write a file that `write` wrote anew, in 8 bits.

        Args:
            path: The file, or the first of the files.
            images: What its layers are calibrated on.
            metadata: What is written inside, in place of what is there.

        Raises:
            OSError: It could not be written; what was there is untouched.
        """
        ...
