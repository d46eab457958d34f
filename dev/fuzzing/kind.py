"""What each kind of input has to know: how to write a case, and how to try it."""

import random
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from fuzzing.outcomes import Outcome


class Kind(ABC):
    """A kind of input; its constructor writes into a folder what all cases share.

    Attributes:
        name: On the command line.
        cases: So many by default.
    """

    name: str
    cases: int

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Write what all cases share."""

    @abstractmethod
    def write(self, rng: random.Random, folder: Path) -> Path:
        """Write the input of a case, which depends on the generator only."""

    @abstractmethod
    def run(self, rng: random.Random, path: Path) -> Outcome:
        """Do with an input what people do, and judge what becomes of it."""

    def run_case(self, seed: int, index: int, folder: Path) -> Outcome:
        """Write and run a case, which depends on the seed and its number only."""
        rng = random.Random(f"{seed}/{self.name}/{index}")
        np.random.seed(rng.getrandbits(32))  # detectron2's augmentations
        folder.mkdir(parents=True)
        return self.run(rng, self.write(rng, folder))
