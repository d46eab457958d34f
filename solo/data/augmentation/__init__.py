"""Training augmentations that move the masks with the pixels, for one image and for several; the test's resize."""

from solo.data.augmentation.build import (
    build_augmentations,
    build_multi_image,
    build_test_resize,
    build_visibility,
)
from solo.data.augmentation.multi_image import MultiImage
from solo.data.augmentation.sample import Sample, Visibility

__all__ = [
    "MultiImage",
    "Sample",
    "Visibility",
    "build_augmentations",
    "build_multi_image",
    "build_test_resize",
    "build_visibility",
]
