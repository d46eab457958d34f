"""Models as programs of torch.export: the step before ONNX, and a format of its own (.pt2)."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import Dim, ExportedProgram

from solo.errors import UserError
from solo.export.file_format import Run
from solo.export.traceable import Traceable
from solo.files import write_with

# Inputs, in multiples of the divisor: smaller ones have features of one pixel, which other rules hold for.
SMALLEST = 3
_EXAMPLE = (6, 8)
_METADATA_FILE = "metadata.json"


@torch.no_grad()
def trace(network: Traceable, size: tuple[int, int] | None = None) -> ExportedProgram:
    """Trace a model.

    Args:
        network: In eval mode.
        size: (H, W) of the only input that the program takes. None: any, of 3 times the divisor or more.

    Returns:
        The program; it takes one tensor, and returns what `network` does.

    Raises:
        UserError: If the size is no multiple of the divisor, or has to be given.
    """
    unit = network.divisor
    if size is None and any(getattr(part, "windowed", False) for part in network.modules()):
        raise UserError(
            "This backbone divides images into windows, so that its graph is of one size: give it, as "
            f"--size {6 * unit}x{8 * unit}."
        )
    if size is None:
        sides = {2: unit * Dim("height", min=SMALLEST), 3: unit * Dim("width", min=SMALLEST)}
        example, dynamic = tuple(unit * side for side in _EXAMPLE), (sides,)
    elif min(size) < unit or any(side % unit for side in size):
        fitting = [max(-(-side // unit), 1) * unit for side in size]
        raise UserError(
            f"--size {size[0]}x{size[1]}: this model takes multiples of {unit}, such as "
            f"{fitting[0]}x{fitting[1]}."
        )
    else:
        example, dynamic = size, None
    image = torch.zeros(1, 3, *example, device=network.model.device)
    # The default of torch from 2.7 on; before that, Python's own functions were looked into.
    return torch.export.export(network, (image,), dynamic_shapes=dynamic, strict=False)


class TorchExportFormat:
    """See `FileFormat`: the program itself, for `torch.export.load`."""

    name = "torch.export"
    suffixes: tuple[str, ...] = (".pt2",)
    packages: tuple[str, ...] = ()
    smallest = SMALLEST
    companions: Mapping[str, Path] = {}

    def write(self, program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
        """Write a program; it names its outputs itself.

        Raises:
            OSError: It could not be written; no part of it is left.
        """
        # By way of the memory: torch aborts the process where a file cannot be written.
        content = BytesIO()
        torch.export.save(program, content, extra_files={_METADATA_FILE: json.dumps(metadata)})
        write_with(lambda file: file.write(content.getbuffer()), path)

    def open(self, path: Path) -> Run:
        """Return what runs a file, by torch."""
        module = read_program(path)[0].module()

        @torch.no_grad()
        def run(inputs: np.ndarray) -> dict[str, np.ndarray]:
            outputs = module(torch.from_numpy(inputs))
            return {name: output.numpy() for name, output in outputs.items()}

        return run


def read_program(path: Path) -> tuple[ExportedProgram, dict[str, Any]]:
    """Read what `TorchExportFormat` wrote."""
    files = {_METADATA_FILE: ""}
    program = torch.export.load(path, extra_files=files)
    return program, json.loads(files[_METADATA_FILE])
