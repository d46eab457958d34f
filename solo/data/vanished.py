"""Objects that have no pixel in the images that training sees, though nothing cut them off."""

import logging

import torch

logger = logging.getLogger(__name__)

# Less than these prove nothing ...
_FEWEST = 10
# ... nor does this share: some objects are too small for any training.
_SHARE = 0.1


class VanishedObjects:
    """Counts them for all processes of a loader, and warns once when they are many.

    Processes that count at the same time may lose a few: it is the share that tells.
    """

    def __init__(self) -> None:
        """Start at zero."""
        # All objects, those that vanished, and whether that was told.
        self._counts = torch.zeros(3, dtype=torch.int64).share_memory_()

    def count(self, shown: int, vanished: int) -> None:
        """Add the objects of an image: those that show a pixel, and those that should."""
        self._counts.numpy()[:2] += shown + vanished, vanished
        if vanished:
            self._warn()

    def _warn(self) -> None:
        seen, vanished, is_told = self._counts.tolist()
        if is_told or vanished < max(_FEWEST, _SHARE * seen):
            return
        self._counts[2] = 1
        logger.warning(
            "%d of the first %d objects have no pixel in the images that training sees, which nothing "
            "cut off: are their annotations of another scale than the images (python -m "
            "`solo data check` tells), or INPUT.MIN_SIZE_TRAIN too small?",
            vanished,
            seen,
        )
