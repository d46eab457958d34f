"""A graph in 8 bits, by NNCF: calibrated on images, with what the heads end in left as it is."""

import contextlib
import io
import logging
import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from solo.data import load_records
from solo.errors import UserError, told_as
from solo.export import runtime
from solo.inference.datasets import read_bgr

logger = logging.getLogger(__name__)

PACKAGE = "nncf"
IMAGES = 300
_SEED = 0
# Layers by their weights; they and all that follows them stay in float: classes, kernels and the mask feature, their
# product, the suppression. AP asks for less, over the whole val parts, 100 images for calibration: of the quickstart
# (digits, 71.77 in float) 71.52, and 71.55 with these layers in 8 bits; of a SOLOv2 R-18 with GroupNorm on
# photos of 160 pixels (9.91) 9.97 and 9.97. They are a hundredth to a twenty-fifth of the time, and a mask is a product
# of two of them. Coordinates, stem and towers need no exception. Asymmetric ranges (NNCF's preset MIXED) gave
# 71.58 and 9.94, no faster, so the preset is NNCF's own.
FLOAT = re.compile(r"predictor")


class Operation(NamedTuple):
    """One of a graph, which has them in the order in which they run."""

    name: str
    inputs: Sequence[str]  # weights and what other operations give, by their names
    outputs: Sequence[str]


class CalibrationImages:
    """Images of data sets, the same ones each time, as a graph gets them."""

    def __init__(self, datasets: Sequence[str], rules: Mapping[str, Any]) -> None:
        """Choose them.

        Args:
            datasets: As registered with detectron2.
            rules: "input" of the metadata.

        Raises:
            OSError: If a file of a data set cannot be read.
            UserError: If there is no such data set, or no image in it.
        """
        records = [record for name in datasets for record in load_records(name)]
        if not records:
            raise UserError(f"--int8: {', '.join(datasets) or 'no data set'} has no images.")
        self._records = random.Random(_SEED).sample(records, min(IMAGES, len(records)))
        self._rules = rules

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._records)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read one after the other, (1, 3, H', W') float32 each, and show how far it is."""
        for record in tqdm(self._records, desc="calibrating", unit=" images", disable=None):
            with told_as(f"--int8: {record['file_name']}"):
                yield runtime.prepare(read_bgr(record), self._rules)[0]


def quantized(model: Any, operations: Iterable[Operation], images: CalibrationImages) -> Any:
    """Return a model of ONNX or OpenVINO with weights and activations in 8 bits."""
    in_float = float_operations(operations)
    if not in_float:
        logger.warning(
            "No layer has a name with %s: the ends of the heads are in 8 bits, too", FLOAT
        )
    # NNCF would tell its maker of each run.
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    # Not by nncf.set_log_level, which silences all handlers of the process.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # bars of its own, beside ours
        return nncf.quantize(
            model,
            nncf.Dataset(images, lambda inputs: {"image": inputs}),
            subset_size=len(images),
            target_device=nncf.TargetDevice.CPU,
            ignored_scope=nncf.IgnoredScope(names=in_float, validate=False),
        )


def float_operations(operations: Iterable[Operation]) -> list[str]:
    """Return the names of the operations that a weight of `FLOAT`, or another of them, leads into."""
    reached: set[str] = set()
    names = []
    for name, inputs, outputs in operations:
        if any(value in reached or FLOAT.search(value) for value in inputs):
            reached.update(outputs)
            names.append(name)
    return names
