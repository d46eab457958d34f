"""Image files for training, read no larger than needed."""

import cv2
import numpy as np

from solo.data.augmentation.geometry import fitting_size
from solo.images import MAX_PIXELS, is_turned, opened, upright


def read_reduced(
    path: str, image_format: str, fit: tuple[float, float], max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, tuple[int, int]]:
    """Read an image that is going to be made smaller, as detectron2 reads it.

    A JPEG that is needed at half, a quarter or an eighth of its size is decoded at that size.

    Args:
        path: The file.
        image_format: "RGB" or "BGR".
        fit: (H, W) in pixels that the image is to fit into.
        max_pixels: Of the whole image; see `read_image`.

    Returns:
        image: (h, w, 3) uint8, upright, at least as large as is needed.
        size: (H, W) of the whole image.

    Raises:
        UnreadableImageError: See `read_image`.
    """
    with opened(path, max_pixels) as image:
        turned = is_turned(image)
        stored = image.size
        size = stored if turned else stored[::-1]
        needed = fitting_size(size, fit)
        image.draft(image.mode, needed if turned else needed[::-1])
        pixels = np.asarray(upright(image).convert("RGB"))
    # Not detectron2's view with turned strides, which all that follows is slower on.
    return (cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if image_format == "BGR" else pixels), size
