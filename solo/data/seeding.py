"""Random numbers that depend on a place in the run only, not on what ran before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded_by(*words: int) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's global generators, and put them back at the end.

    Augmentations, those of detectron2 and those of users, draw from these.

    Args:
        *words: Non-negative integers that together name the place, such as (seed, position).
    """
    python_seed, numpy_seed, torch_seed = derive_seeds(3, *words)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(python_seed)
    np.random.seed(numpy_seed)
    # Not torch.manual_seed: it would seed the GPUs, too, which nothing here puts back.
    torch.default_generator.manual_seed(torch_seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def derive_seeds(count: int, *words: int) -> list[int]:
    """Return numbers from 0 to 2^32 - 1 that look random and are always the same.

    Args:
        count: How many.
        *words: Non-negative integers; other words give unrelated numbers.
    """
    return np.random.SeedSequence(words).generate_state(count).tolist()
