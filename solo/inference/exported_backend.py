"""An exported model, run by onnxruntime or OpenVINO, in the place of `solo.inference.torch_backend.TorchBackend`."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detectron2.structures import Boxes, Instances

from solo.architectures import BBOX, SEGM
from solo.checkpoint.beside_weights import known_threshold
from solo.config.choices import MaskFormat, choose
from solo.errors import UserError
from solo.export.openvino_runtime import OpenVINOModel
from solo.export.runtime import Instances as Found
from solo.export.runtime import Model, finish, prepare
from solo.layers.output import binary_masks, encoded_masks
from solo.modeling.precision import amp_dtype
from solo.structures.image_size import ImageSize


class ExportedBackend:
    """A file of `solo export` that takes images and returns their instances: a `Backend` of a predictor."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        mask_format: str = MaskFormat.BITMASK,
        amp: bool = False,
    ) -> None:
        """Load a file.

        Args:
            path: An .onnx file, for onnxruntime, or an .xml file, for OpenVINO.
            threads: See `Model`.
            mask_format: "bitmask" or "rle", as MODEL.SOLO.TEST.MASK_FORMAT.
            amp: Whether OpenVINO computes in bfloat16, as TEST.AMP.ENABLED asks for.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: It is no model, or one whose candidates are not suppressed, or what runs it is not installed, or
                knows no bfloat16, or there is no such format of masks.
        """
        self._mask_format = choose(MaskFormat, mask_format, "mask_format")
        is_openvino = Path(path).suffix.lower() == ".xml"
        if amp and not is_openvino:
            raise UserError(f"{path}: onnxruntime has no bfloat16: export with --format openvino.")
        try:
            if is_openvino:
                bfloat16 = amp and amp_dtype(torch.device("cpu")) is not None
                self._model: Model = OpenVINOModel(path, threads=threads, bfloat16=bfloat16)
            else:
                self._model = Model(path, threads=threads)
        except (ValueError, RuntimeError) as error:  # of a file that stands alone: it has no others
            raise UserError(str(error)) from error
        if self._model.metadata.get("post") == "raw":
            raise UserError(
                f"{path}: exported with --post raw, without suppression: export it with --post nms, "
                "or call solo.export.runtime.Model."
            )
        self.class_names = tuple(self._model.class_names)
        self.category_ids = tuple(self._model.metadata["category_ids"])
        self.threshold = known_threshold(self._model.metadata)
        self.tasks = (BBOX, SEGM) if self._model.finds == "masks" else (BBOX,)
        package = "OpenVINO" if is_openvino else "onnxruntime"
        self.origin: tuple[str, ...] = (Path(path).name, package, "cpu")

    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> list[Instances]:
        """Find the instances of images one by one: the graph takes one; see `Backend.find`.

        Raises:
            UserError: The graph fails, or does not go with its metadata; or an image is too large.
        """
        return [self._find_in(image, least) for image in images]

    def _find_in(self, image: np.ndarray, least: float) -> Instances:
        metadata = self._model.metadata
        try:
            inputs, frames = prepare(image, metadata["input"])
            outputs = self._model.run(inputs)
        except (ValueError, RuntimeError) as error:
            raise UserError(str(error)) from error
        # They are in descending order: no mask is resized that would be left out.
        outputs["count"] = np.minimum(outputs["count"], (outputs["scores"] >= least).sum())
        if SEGM not in self.tasks:
            return _boxes(finish(outputs, frames, 0), frames.original)
        scores, classes, soft_masks = (
            torch.from_numpy(outputs[name][: int(outputs["count"])])
            for name in ("scores", "classes", "masks")
        )
        found = Instances(frames.original, scores=scores, pred_classes=classes)
        arguments = soft_masks, ImageSize(*frames), metadata["mask_thresh"]
        if self._mask_format == MaskFormat.RLE:
            found.pred_rles, boxes = encoded_masks(*arguments)
        else:
            found.pred_masks, boxes = binary_masks(*arguments)
        found.pred_boxes = Boxes(boxes)
        return found


def _boxes(found: Found, size: tuple[int, int]) -> Instances:
    """Return what a model that finds boxes alone found in an image of (H, W)."""
    boxes, classes, scores = map(torch.from_numpy, found[1:])
    return Instances(size, pred_boxes=Boxes(boxes), scores=scores, pred_classes=classes)
