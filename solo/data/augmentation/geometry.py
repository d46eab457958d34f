"""detectron2 augmentations of one image: scale jitter to a fixed size, crops that keep an object."""

from collections.abc import Sequence

import cv2
import numpy as np
from detectron2.data import transforms as T
from PIL import Image

from solo.structures.box import Box
from solo.structures.region import Region


class FastResizeTransform(T.ResizeTransform):
    """Resize by OpenCV, which takes a quarter of Pillow's time.

    The image may have been reduced while it was read: h and w are its full size, to which
    coordinates refer.
    """

    def apply_image(self, img: np.ndarray, interp: int | None = None) -> np.ndarray:
        """Return the image, (h, w) or (h, w, c), at the new size."""
        if interp == Image.Resampling.NEAREST:
            method = cv2.INTER_NEAREST_EXACT  # about the centres of pixels, as the others
        elif 2 * self.new_h < img.shape[0]:
            method = cv2.INTER_AREA  # bilinear weights would skip pixels
        else:
            method = cv2.INTER_LINEAR
        return cv2.resize(np.ascontiguousarray(img), (self.new_w, self.new_h), interpolation=method)


class ResizeShortestEdge(T.ResizeShortestEdge):
    """detectron2's, but that a long strip keeps a pixel of its shorter side."""

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """Return what an image of this size is resized by."""
        resize = super().get_transform(image)
        if isinstance(resize, T.ResizeTransform):
            resize.new_h, resize.new_w = max(resize.new_h, 1), max(resize.new_w, 1)
        return resize


class ScaleJitter(T.Augmentation):
    """Resize so that the image fits into a size times a random scale; the aspect ratio stays.

    Source: the first half of large-scale jittering, Simple Copy-Paste, arXiv 2012.07177, 3.
    """

    def __init__(self, size: tuple[int, int], scale_range: tuple[float, float]) -> None:
        """Set up the augmentation.

        Args:
            size: (H, W) in pixels.
            scale_range: Smallest and largest scale.
        """
        super().__init__()
        self.size, self.scale_range = size, scale_range

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """Draw the scale."""
        scale = np.random.uniform(*self.scale_range)
        old = image.shape[:2]
        return FastResizeTransform(*old, *fitting_size(old, self.size, scale))


class CropOrPad(T.Augmentation):
    """Bring images to a fixed size: a random crop where they are larger, else padding.

    Padding goes to the right and to the bottom, as that of a batch does.
    """

    def __init__(self, size: tuple[int, int], pad_value: Sequence[int]) -> None:
        """Set up the augmentation.

        Args:
            size: (H, W) in pixels.
            pad_value: One number per channel, 0 to 255.
        """
        super().__init__()
        self.size, self.pad_value = size, pad_value

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """Draw the place of the crop."""
        height, width = np.minimum(image.shape[:2], self.size).tolist()
        top = np.random.randint(image.shape[0] - height + 1)
        left = np.random.randint(image.shape[1] - width + 1)
        bottom, right = self.size[0] - height, self.size[1] - width
        return T.TransformList(
            [
                T.CropTransform(left, top, width, height),
                ColorPadTransform(right, bottom, self.pad_value),
            ]
        )


class ColorPadTransform(T.PadTransform):
    """Pad on the right and at the bottom with a number per channel, which fvcore's pad cannot."""

    def __init__(self, right: int, bottom: int, color: Sequence[int]) -> None:
        """Take the pixels to add, and their colour."""
        super().__init__(0, 0, right, bottom)
        self.color = color

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Return (h, w, 3) uint8 with the padding."""
        sides = 0, self.y1, 0, self.x1
        return cv2.copyMakeBorder(img, *sides, cv2.BORDER_CONSTANT, value=list(self.color))


class Crop(T.RandomCrop):
    """detectron2's random crop, but of a pixel at least."""

    def get_crop_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the (H, W) of a crop of an image of this size."""
        height, width = super().get_crop_size(image_size)
        return max(height, 1), max(width, 1)


class KeepingCrop(Crop):
    """A random crop that keeps at least a share of some object, or is not applied.

    Ten crops are tried. An image without objects has none to keep, and stays whole.
    """

    TRIES = 10

    def __init__(
        self, crop_type: str, crop_size: tuple[float, float], min_kept_share: float
    ) -> None:
        """Set up the augmentation.

        Args:
            crop_type: Of ``detectron2.data.transforms.RandomCrop``.
            crop_size: Of the same.
            min_kept_share: Of the pixels of an object, above 0.
        """
        super().__init__(crop_type, crop_size)
        self.min_kept_share = min_kept_share

    def get_transform(self, image: np.ndarray, regions: Sequence[Region]) -> T.Transform:
        """Draw the crop."""
        for _ in range(self.TRIES if regions else 0):
            crop = super().get_transform(image)
            window = Box(crop.x0, crop.y0, crop.x0 + crop.w, crop.y0 + crop.h)
            for region in regions:
                kept = region.within(window)
                if kept and kept.area >= self.min_kept_share * region.area:
                    return crop
        return T.NoOpTransform()


def fitting_size(
    size: tuple[int, int], room: tuple[float, float], scale: float = 1.0
) -> tuple[int, int]:
    """Return the (H, W) that an image gets where it is to fit into a room times a scale."""
    factor = scale * min(room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


# What a part of a mosaic goes without: the mosaic resizes and crops on its own.
RESIZING = (
    CropOrPad,
    ScaleJitter,
    T.FixedSizeCrop,
    T.RandomCrop,
    T.Resize,
    T.ResizeScale,
    T.ResizeShortestEdge,
)
