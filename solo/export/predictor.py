"""An exported model in the place of `solo.engine.predictor.Predictor`."""

import os

import numpy as np
import torch
from detectron2.structures import Boxes, Instances

from solo.export.runtime import Model


class OnnxPredictor:
    """An ONNX file that takes one image and returns its instances.

    Attributes:
        class_names: Name per class, K of them or none.
        category_ids: The data set's own where the export knew them; else 0 to K - 1.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0) -> None:
        """Load a file; see `Model` for the arguments and the errors."""
        self._model = Model(path, threads=threads)
        self.class_names = tuple(self._model.class_names)
        self.category_ids = tuple(self._model.metadata["category_ids"])

    def __call__(self, image_bgr: np.ndarray) -> Instances:
        """Find the instances of one image.

        Args:
            image_bgr: (H, W, 3) uint8, BGR.

        Returns:
            Instances at the size of the image: `pred_boxes` (XYXY in pixels), `scores`, `pred_classes`
            and `pred_masks`.
        """
        found = self._model(image_bgr)
        return Instances(
            image_bgr.shape[:2],
            pred_boxes=Boxes(torch.from_numpy(found.boxes)),
            scores=torch.from_numpy(found.scores),
            pred_classes=torch.from_numpy(found.classes),
            pred_masks=torch.from_numpy(found.masks),
        )
