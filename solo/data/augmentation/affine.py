"""Turn, stretch, shear and move an image in its frame, in one resampling."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data import transforms as T

from solo.data.augmentation.values import pad_value, range_of, share_of


class Affine(T.Augmentation):
    """A random affine map about the middle of the image, which keeps its size.

    Source: YOLOX, arXiv 2107.08430, whose map is about a corner of a mosaic of twice the size.
    """

    def __init__(
        self,
        degrees: float,
        shear: float,
        translate: float,
        scale_range: tuple[float, float],
        color: Sequence[int],
    ) -> None:
        """Set up the augmentation.

        Args:
            degrees: Of the largest turn either way.
            shear: Degrees of the largest shear either way, of each axis.
            translate: Of the largest move either way, as a share of width and height.
            scale_range: Smallest and largest scale.
            color: Of what the image leaves empty, a number per channel.
        """
        super().__init__()
        self._init(locals())

    @classmethod
    def from_config(cls, cfg: CfgNode) -> T.Augmentation | None:
        """Return what INPUT.AFFINE stands for, None where it is off.

        Raises:
            UserError: If a value is out of its range; names the key.
        """
        key, node = "INPUT.AFFINE", cfg.INPUT.AFFINE
        affine = cls(
            share_of(f"{key}.DEGREES", node.DEGREES, most=180),
            share_of(f"{key}.SHEAR", node.SHEAR, most=60),
            share_of(f"{key}.TRANSLATE", node.TRANSLATE),
            range_of(f"{key}.SCALE_RANGE", node.SCALE_RANGE, above=0),
            pad_value(cfg) if node.PROB else (),
        )
        prob = share_of(f"{key}.PROB", node.PROB)
        return T.RandomApply(affine, prob) if prob else None

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """Draw the map."""
        size = np.array(image.shape[1::-1])
        turn = np.deg2rad(np.random.uniform(-self.degrees, self.degrees))
        across, down = np.tan(np.deg2rad(np.random.uniform(-self.shear, self.shear, 2)))
        moved = np.random.uniform(-self.translate, self.translate, 2) * size
        scale = np.random.uniform(*self.scale_range)
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        linear = scale * np.array([[1, across], [down, 1]]) @ turned
        offset = size / 2 + moved - linear @ (size / 2)
        return AffineTransform(np.hstack([linear, offset[:, None]]), self.color)


class AffineTransform(T.Transform):
    """Move the pixels of an image in its frame; coordinates may leave it."""

    def __init__(self, matrix: np.ndarray, color: Sequence[int]) -> None:
        """Take the (2, 3) matrix of coordinates x and y, and the colour of what becomes empty."""
        super().__init__()
        self.matrix, self.color = matrix, color
        # OpenCV's coordinates are 0 in the middle of the first pixel, those of objects at its corner.
        self._of_pixels = matrix.copy()
        self._of_pixels[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Return the image (h, w, 3) uint8."""
        return self._warped(img, cv2.INTER_LINEAR, self.color)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """Return a mask (h, w) uint8 or bool; what becomes empty is 0."""
        moved = self._warped(segmentation.astype(np.uint8), cv2.INTER_NEAREST, (0,))
        return moved.astype(segmentation.dtype)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Return the points (n, 2) x, y."""
        return coords @ self.matrix[:, :2].T + self.matrix[:, 2]

    def _warped(self, image: np.ndarray, method: int, color: Sequence[int]) -> np.ndarray:
        height, width = image.shape[:2]
        return cv2.warpAffine(
            np.ascontiguousarray(image),
            self._of_pixels,
            (width, height),
            flags=method,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=tuple(color),
        )
