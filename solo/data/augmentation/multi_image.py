"""The augmentations that need several images, in order, and where in the run they end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solo.data.augmentation.copy_paste import CopyPaste
from solo.data.augmentation.mixup import Mixup
from solo.data.augmentation.mosaic import Mosaic
from solo.data.augmentation.sample import Sample


@dataclass(frozen=True)
class MultiImage:
    """Mosaic, then copy-paste, then mixup, each with its own probability.

    Attributes:
        mosaic: The first step.
        copy_paste: The second.
        mixup: The third.
        end: The first position of the run, as the sampler counts them, that goes without them. Being
            a function of the position, the end needs no word to worker processes, nor a resumed run.
    """

    mosaic: Mosaic
    copy_paste: CopyPaste
    mixup: Mixup
    end: int

    def is_on(self, position: int) -> bool:
        """Return whether the image at a position of the run may be combined with others."""
        return position < self.end

    def __call__(
        self,
        record: dict[str, Any],
        load: Callable[..., Sample],
        other: Callable[[Callable[..., Sample]], Sample],
    ) -> Sample:
        """Return the sample of a record, alone or combined with others.

        Args:
            record: Of the image.
            load: Reads a record; with ``fit``, (H, W), as large as fits into it.
            other: Calls a reader with the record of a random other image.
        """
        steps = self.mosaic, self.copy_paste, self.mixup
        mosaic, copy_paste, mixup = (np.random.rand() < step.prob for step in steps)
        sample = self.mosaic(record, load, other) if mosaic else load(record)
        if copy_paste:
            same = np.random.rand() < self.copy_paste.same_image_prob
            sample = self.copy_paste(sample, sample if same else other(load))
        if mixup:
            sample = self.mixup(sample, other(load))
        return sample
