"""Training augmentations that move the masks with the pixels, for one image and for several; the test's resize."""
