"""Colour jitter in one pass over the image."""

from functools import partial

import cv2
import numpy as np
from detectron2.data import transforms as T

# From RGB to luminance Y and the two coordinates of colour, I and Q; grey has I = Q = 0.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
# And back.
_RGB = np.linalg.inv(_YIQ)


class ColorJitter(T.Augmentation):
    """Change brightness, contrast, saturation and hue by random amounts.

    All four are affine in the colour of a pixel (hue and saturation turn and stretch the IQ plane),
    so their product is one 3 x 4 matrix, and clipping happens once.
    """

    def __init__(
        self, brightness: float, contrast: float, saturation: float, hue: float, image_format: str
    ) -> None:
        """Set up the jitter.

        Args:
            brightness: The factor lies within 1 - brightness to 1 + brightness; so do the next two.
            contrast: Of the factor by which colours move away from the mean luminance.
            saturation: Of the factor by which colours move away from grey.
            hue: Largest turn of the hue either way, in full turns, 0 to 0.5.
            image_format: "RGB" or "BGR".
        """
        super().__init__()
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """Draw the changes for an image (H, W, 3) uint8."""
        brightness, contrast, saturation = (
            np.random.uniform(1 - strength, 1 + strength)
            for strength in (self.brightness, self.contrast, self.saturation)
        )
        turn = 2 * np.pi * np.random.uniform(-self.hue, self.hue)
        cos, sin = saturation * np.cos(turn), saturation * np.sin(turn)
        plane = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        linear = brightness * contrast * (_RGB @ plane @ _YIQ)
        luminance = _YIQ[0]
        if self.image_format == "BGR":
            linear, luminance = linear[::-1, ::-1], luminance[::-1]
        mean = luminance @ cv2.mean(np.ascontiguousarray(image))[:3]
        offset = np.full((3, 1), (1 - contrast) * brightness * mean)
        return T.ColorTransform(partial(_recolor, matrix=np.hstack([linear, offset])))


def _recolor(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return cv2.transform(np.ascontiguousarray(image), matrix)
