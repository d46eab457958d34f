"""What runs a network for a predictor."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from detectron2.structures import Instances


class Backend(Protocol):
    """What runs a network: `TorchBackend` or `ExportedBackend`.

    Attributes:
        class_names: Name per class, K of them or none.
        category_ids: K of them: the data set's own where they are known; else 0 to K - 1.
        threshold: Of the best F1 in the model's own evaluation; None: not known.
        tasks: What instances have, "bbox" and "segm"; where it does not say, both.
        origin: What it was made of and what runs it, for people: "model_final.pth", "cpu".
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int | str, ...]
    threshold: float | None
    origin: tuple[str, ...]

    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> list[Instances]:
        """Find the instances of images.

        Args:
            images: (H, W, 3) uint8 BGR each, of any sizes.
            least: Instances of lower scores may be left out, where that saves work.

        Returns:
            Instances at the size of each image, on the CPU, in descending order of score:
            `pred_boxes` (XYXY in pixels), `scores`, `pred_classes`, and `pred_masks` or `pred_rles`,
            unless it finds boxes only.
        """
        ...
