"""Checkpoints with flipped bits, or cut off: the same numbers, or a sentence."""

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fuzzing.changes import change_bytes, flip_bits
from fuzzing.kind import Kind
from fuzzing.outcomes import OK, Outcome, Verdict, attempt, worst, wrong
from solo.checkpoint import SOLOCheckpointer, read_checkpoint


class Checkpoints(Kind):
    """Files of torch in both its formats, and of detectron2's model zoo."""

    name, cases = "checkpoints", 500

    def __init__(self, folder: Path) -> None:
        """Write the files as they should be."""
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 40))
        weights = self.model.state_dict()
        self.content = {"model": weights, "class_names": ["a", "b"], "iteration": 7}
        zipped, old, arrays = folder / "zip.pth", folder / "old.pth", folder / "arrays.pkl"
        torch.save(self.content, zipped)
        torch.save(self.content, old, _use_new_zipfile_serialization=False)
        content = {name: tensor.numpy() for name, tensor in weights.items()}
        with arrays.open("wb") as file:
            pickle.dump({"model": content, "__author__": "somebody"}, file)
        # The first has checksums, the others none.
        self.files = [(path.name, path.read_bytes()) for path in (zipped, zipped, old, arrays)]

    def write(self, rng: random.Random, folder: Path) -> Path:
        """Write a file with flipped bits, or other changes of bytes."""
        name, data = rng.choice(self.files)
        if rng.random() < 0.7:
            data = flip_bits(data, rng, rng.choice((1, 1, 1, 2, 3)))
        else:
            data = change_bytes(data, rng)
        path = folder / name
        path.write_bytes(data)
        return path

    def run(self, rng: random.Random, path: Path) -> Outcome:
        """Read it, and load it into the model; only the format without checksums may lie."""
        names = (path.name,)
        read, content = attempt(names, read_checkpoint, path)
        load, _ = attempt(names, SOLOCheckpointer(self.model).load, str(path))
        outcome = worst([read, load])
        if outcome.verdict is Verdict.OK and path.name == "zip.pth":
            return OK if _same(content, self.content) else wrong("other numbers", "checkpoint")
        return outcome


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(np.array_equal(one, other))
