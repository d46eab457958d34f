"""Settings that would fit a data set, each by a rule of one sentence.

Legend: M objects, L levels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from detectron2.config import CfgNode

from solo.modeling.grids import Grids
from solo.modeling.targets import TargetAssigner
from solo.survey.statistics import Survey

# Candidates for the sides of grids.
SIDES = (8, 10, 12, 14, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64)
# Share of a level's positive cells that several objects may claim.
MAX_SHARED = 0.02
# Pixels that all but the smallest tenth of the objects should measure: four of the mask at
# stride 4. At most, images are enlarged so many times: time and memory grow with the square.
MIN_PIXELS = 16
MAX_ENLARGEMENT = 2.0
# To which enlarged images are rounded, in pixels.
_STEP = 32

RULES = (
    f"INPUT: images grow until 90 % of the objects measure {MIN_PIXELS} px, "
    f"{MAX_ENLARGEMENT:.0f} times at most.",
    "SCALE_RANGES: the 1st to the 99th percentile of the sizes in equal ratios, one per level;",
    "  neighbours overlap by half of that, and the ends are open.",
    f"NUM_GRIDS: the smallest side of which fewer than {MAX_SHARED:.0%} of the positive cells are "
    "claimed twice,",
    "  with cells no wider than the level's median object; no coarser than for larger objects.",
)


def needed_growth(sizes: np.ndarray) -> float:
    """Return how many times larger images should be, 1 or more, for objects of (M,) sizes."""
    return float(np.clip(MIN_PIXELS / np.percentile(sizes, 10), 1, MAX_ENLARGEMENT))


def enlarged_input(cfg: CfgNode, growth: float) -> dict[str, Any]:
    """Return the sizes of INPUT so many times larger, as far as a config makes use of them."""
    node = cfg.INPUT
    test = {key: _enlarge(node[key], growth) for key in ("MIN_SIZE_TEST", "MAX_SIZE_TEST")}
    if node.JITTER.ENABLED:
        return {
            "JITTER": {"IMAGE_SIZE": [_enlarge(s, growth) for s in node.JITTER.IMAGE_SIZE]},
            **test,
        }
    return {
        "MIN_SIZE_TRAIN": [_enlarge(size, growth) for size in node.MIN_SIZE_TRAIN],
        "MAX_SIZE_TRAIN": _enlarge(node.MAX_SIZE_TRAIN, growth),
        **test,
    }


def _enlarge(size: int, growth: float) -> int:
    return size if growth == 1 else int(np.ceil(size * growth / _STEP)) * _STEP


def propose_ranges(survey: Survey, num_levels: int) -> list[list[int]]:
    """Return SCALE_RANGES for the objects of a survey.

    Args:
        survey: At the proposed size of images.
        num_levels: L.

    Returns:
        Per level the smallest and the largest size, in pixels; together they leave nothing out.
    """
    low, high = np.percentile(survey.sizes, [1, 99])
    # Objects that are all alike still vary a little, by an octave say.
    margin = max(1.0, (2 * low / high) ** 0.5)
    low, high = low / margin, high * margin
    edges = np.geomspace(low, high, num_levels + 1)[1:-1]
    # Half of a level's ratio, a quarter to each side.
    widening = (high / low) ** (0.25 / num_levels)
    longest = 2 * int(survey.frames.max())
    lower = [1, *np.maximum(edges / widening, 1).astype(int).tolist()]
    upper = [*np.ceil(edges * widening).astype(int).tolist(), longest]
    return [[smallest, largest] for smallest, largest in zip(lower, upper, strict=True)]


def rule_of_candidates(
    assigner: TargetAssigner, ranges: Sequence[Sequence[float]]
) -> TargetAssigner:
    """Return a rule that has, for each range, a level of each of SIDES: all are tried at once."""
    grids = Grids([side for _ in ranges for side in SIDES])
    limits = tuple((low, high) for low, high in ranges for _ in SIDES)
    return replace(assigner, grids=grids, scale_ranges=limits)


def choose_grids(candidates: Survey) -> list[int]:
    """Return which of the candidates' levels to take, one for each range.

    Args:
        candidates: A survey with the `rule_of_candidates`.
    """
    shared = candidates.shared_by_level.reshape(-1, len(SIDES))
    frame = np.median(np.sqrt(candidates.frames.prod(axis=1)))
    chosen = len(shared) * [0]
    finest = 0
    for level in reversed(range(len(shared))):
        first = level * len(SIDES)
        sizes = candidates.sizes[candidates.claimed[:, first] > 0]
        widest = np.median(sizes) if len(sizes) else np.inf
        fits = (shared[level] < MAX_SHARED) & (frame / np.array(SIDES) <= widest)
        # Where none will do, the finest; and no coarser than for larger objects.
        finest = max(finest, int(fits.argmax()) if fits.any() else len(SIDES) - 1)
        chosen[level] = first + finest
    return chosen
