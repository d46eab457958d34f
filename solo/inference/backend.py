"""What a `Predictor` runs a network with."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from detectron2.structures import Instances


class Backend(Protocol):
    """What runs a network: `TorchBackend` or `OnnxBackend`.

    Attributes:
        class_names: Name per class, K of them or none.
        category_ids: K of them: the data set's own where they are known; else 0 to K - 1.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]

    def find(self, images: Sequence[np.ndarray]) -> list[Instances]:
        """Find the instances of images.

        Args:
            images: (H, W, 3) uint8 BGR each, of any sizes.

        Returns:
            Instances at the size of each image, on the CPU, in descending order of score:
            `pred_boxes` (XYXY in pixels), `scores`, `pred_classes`, and `pred_masks` or `pred_rles`.
        """
        ...
