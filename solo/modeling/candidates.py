"""Cells that may hold an instance, and what is left of them after the suppression, with one wait for the device.

`PostProcessor` waits to learn how many candidates there are, and decodes so many masks. Here as many as suppression takes are
decoded in any case, those below the threshold among them: they are last in all that follows. Only what is left is counted.

Legend: n candidates, C cells of all levels, K classes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from solo.layers.overlaps import mask_ious
from solo.layers.stages import stage
from solo.layers.transfer import to_device, to_host

if TYPE_CHECKING:
    from solo.modeling.postprocessing import PostProcessor

Decoder = Callable[[Tensor], Tensor]
"""Turns (n,) cells of one image, on the CPU, into their (n, h, w) soft masks, which may be overwritten."""


class Candidates(NamedTuple):
    """Cells that may hold an instance; empty ones have the same types.

    Attributes:
        cells: (n,) cell numbers, on the CPU.
        classes: (n,) int64, on the CPU.
        scores: (n,) float32, on the device.
    """

    cells: Tensor
    classes: Tensor
    scores: Tensor

    def take(self, index: Tensor) -> "Candidates":
        """Select some of them, by an index on the CPU."""
        scores = self.scores[to_device(index, self.scores.device)]
        return Candidates(self.cells[index], self.classes[index], scores)


def survivors(rule: "PostProcessor", probabilities: Tensor, decode: Decoder) -> Candidates | None:
    """Return what the candidates, measured and suppressed by a rule, leave, best first.

    Args:
        rule: The test procedure.
        probabilities: (C, K), of its `probabilities`.
        decode: Gives the soft masks of (n,) cells that are on the device.

    Returns:
        None, where more candidates are above the threshold than enter the suppression: which of them have the best
        masks is to be found out first.
    """
    count = min(rule.max_candidates, rule.pre_nms_topk, probabilities.numel())
    num_above = (probabilities > rule.score_thresh).sum()
    cells, classes, scores = best_cells(probabilities, count, rule.score_thresh)
    with stage("masks"):
        masks, areas, maskness = rule.decode_masks(cells, decode, True, scores.device)
        least = to_device(rule.least_areas(torch.arange(rule.grids.num_cells)), scores.device)
        is_found = (scores >= 0) & (areas > least[cells])
        scores = torch.where(is_found, scores * maskness, -1)
        scores, order = scores.sort(descending=True, stable=True)
    ious = mask_ious(masks, rule.intersections)[order][:, order]
    with stage("NMS"):
        decayed = rule.suppressed(scores, classes[order], ious)
        kept = (scores >= 0) & (decayed >= max(rule.update_thresh, 0))
        scores, best = torch.where(kept, decayed, -1).sort(descending=True, stable=True)
        scores, order = scores[: rule.max_instances], order[best[: rule.max_instances]]
        found = [cells[order], classes[order], (scores >= 0).long(), num_above.expand(len(order))]
        cells, classes, is_kept, above = to_host(torch.stack(found)).unbind()
    if rule.max_candidates > count and bool((above > count).any()):
        return None
    length = int(is_kept.sum())
    return Candidates(cells[:length], classes[:length], scores[:length])


@stage("candidates")
def best_cells(
    probabilities: Tensor, count: int, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return cells, classes and scores of the most probable, in cell order, without a question to the device.

    Args:
        probabilities: (C, K).
        count: How many are taken in any case.
        threshold: Scores are -1 up to this.
    """
    flat, num_classes = probabilities.flatten(), probabilities.shape[1]
    best = flat.topk(count).indices.sort().values
    scores = flat[best]
    # Of whole numbers: where others divide, they may become float16, in which there are none above 2048.
    cells = best // num_classes
    return cells, best - cells * num_classes, torch.where(scores > threshold, scores, -1)
