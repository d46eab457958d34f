"""What the augmentations of several images have in common, their order, and where in the run they end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from detectron2.config import CfgNode

from solo.data.augmentation.sample import Sample


class Images(NamedTuple):
    """What a step may combine with the image so far.

    Attributes:
        record: Of the first image.
        load: Reads a record; with ``fit``, (H, W), as large as fits into it.
        other: Calls a reader with the record of a random other image.
    """

    record: dict[str, Any]
    load: Callable[..., Sample]
    other: Callable[[Callable[..., Sample]], Sample]


class Step(Protocol):
    """An augmentation of several images."""

    key: ClassVar[str]
    """Its node of the config."""

    @property
    def prob(self) -> float:
        """Of being applied."""

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "Step":
        """Return the step that the config stands for.

        Raises:
            UserError: If a value is out of its range; names the key.
        """

    def __call__(self, first: Callable[[], Sample], images: Images) -> Sample:
        """Return an image made of several.

        Args:
            first: Makes the image so far.
            images: To combine it with.
        """


@dataclass(frozen=True)
class MultiImage:
    """Steps one after the other, each with its own probability.

    Attributes:
        steps: In order.
        end: The first position of the run, as the sampler counts them, that goes without them. Being
            a function of the position, the end needs no word to worker processes, nor a resumed run.
    """

    steps: tuple[Step, ...]
    end: int

    @property
    def keys(self) -> str:
        """The nodes of the config whose steps are on."""
        return ", ".join(step.key for step in self.steps if step.prob)

    def is_on(self, position: int) -> bool:
        """Return whether the image at a position of the run may be combined with others."""
        return position < self.end

    def __call__(self, images: Images) -> Sample:
        """Return the first image, alone or combined with others."""
        chosen = [step for step in self.steps if np.random.rand() < step.prob]
        # Nothing is read before it is asked for: a mosaic reads less of the first image.
        make: Callable[[], Sample] = partial(images.load, images.record)
        for step in chosen:
            make = partial(step, make, images)
        return make()
