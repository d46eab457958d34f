"""From a file of floats to one of integers: what it is calibrated and compared on, and what it may lose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from solo.config.choices import MaskFormat
from solo.data import load_records
from solo.errors import UserError
from solo.export.file_format import QuantizedFormat
from solo.export.int8_check import MAX_DROP, Int8Agreement, compare_on
from solo.export.quantization import CalibrationImages
from solo.inference.backend import Backend
from solo.inference.exported_backend import ExportedBackend


@dataclass(frozen=True, kw_only=True)
class Int8:
    """How to make a model of integers, and what it may lose by it."""

    calibrate_on: Sequence[str] = ()  # registered data sets; none: DATASETS.TRAIN
    compare_on: str = ""  # likewise; empty: the first of DATASETS.TEST
    num_images: int | None = None  # of that; None: all
    max_drop: float = MAX_DROP  # of AP

    def __post_init__(self) -> None:
        """Look at the number."""
        if self.num_images is not None and self.num_images < 1:
            raise UserError(f"--num-images {self.num_images}: ask for 1 at least.")


class Quantization:
    """The data of an `Int8`, which is there."""

    def __init__(self, int8: Int8, cfg: CfgNode, metadata: dict[str, Any]) -> None:
        """Read the data sets, and say in the metadata what the file is calibrated on.

        Args:
            int8: What is asked for.
            cfg: Names data sets where it does not.
            metadata: Of the file.

        Raises:
            OSError: A file of a data set cannot be read.
            UserError: No data set is named, or one that there is not.
        """
        datasets = int8.calibrate_on or cfg.DATASETS.TRAIN
        self._compare_on = int8.compare_on or "".join(cfg.DATASETS.TEST[:1])
        if not (datasets and self._compare_on):
            raise UserError(
                "--int8 needs images, and DATASETS.TRAIN and TEST do not name any: give --data PATH."
            )
        load_records(self._compare_on)  # it fails now, or not after minutes of work
        self._int8, self._images = int8, CalibrationImages(datasets, metadata["input"])
        names = [Path(name).name for name in datasets]
        metadata["int8"] = {"calibrated_on": names, "images": len(self._images)}

    def apply(
        self, file_format: QuantizedFormat, path: Path, metadata: dict[str, Any], model: Backend
    ) -> Int8Agreement:
        """Write a file anew, in 8 bits, and compare its AP with that of the model.

        Raises:
            OSError: A file cannot be read or written.
            UserError: Too much is lost; the file is there.
        """
        file_format.quantize(path, self._images, metadata)
        int8 = ExportedBackend(path, mask_format=MaskFormat.RLE)
        agreement = compare_on(self._compare_on, model, int8, self._int8.num_images)
        agreement.check(self._int8.max_drop)
        return agreement
