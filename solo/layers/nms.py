"""Suppression of what was found twice: points NMS on the grids, matrix or greedy NMS on masks.

Legend: n instances in descending order of score, K classes, S grid side.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from solo.config.choices import NMSKernel, choose
from solo.layers.transfer import to_device, to_host


def points_nms(probabilities: Tensor) -> Tensor:
    """Zero every cell that is beaten by its top, left or top-left neighbour.

    Args:
        probabilities: (N, K, S, S) of the cells.

    Returns:
        (N, K, S, S), the surviving probabilities and zeros.

    Source:
        SOLOv2 official test procedure.
    """
    best = F.max_pool2d(probabilities, kernel_size=2, stride=1, padding=1)[:, :, :-1, :-1]
    return probabilities * (best == probabilities)


def matrix_nms(
    ious: Tensor,
    classes: Tensor,
    scores: Tensor,
    *,
    kernel: NMSKernel = NMSKernel.GAUSSIAN,
    sigma: float = 2.0,
) -> Tensor:
    """Decay the score of each instance by its overlaps with better ones of its class, in parallel.

    Args:
        ious: (n, n) of each pair of masks, in descending order of score.
        classes: (n,) class of each.
        scores: (n,).
        kernel: Gaussian, f = exp(-sigma * iou ** 2), or linear, f = 1 - iou.
        sigma: Of the Gaussian kernel.

    Returns:
        (n,) decayed scores, not sorted again.

    Raises:
        UserError: If the kernel is of another name.

    Source:
        SOLOv2 section 3.3: decay_j = min_i f(iou_ij) / f(max_k iou_ki).
    """
    kernel = choose(NMSKernel, kernel, "MODEL.SOLO.TEST.NMS_KERNEL")
    if len(ious) == 0:
        return scores
    same_class = classes[:, None] == classes[None, :]
    ious = (ious * same_class).triu(diagonal=1)
    # How much the suppressor i was itself overlapped by a better one.
    compensation = ious.max(dim=0).values[:, None]
    if kernel is NMSKernel.GAUSSIAN:
        decay = torch.exp(sigma * (compensation**2 - ious**2))
    else:
        # The third copy of a mask meets 0 / 0: it is a duplicate, so it is suppressed.
        decay = ((1 - ious) / (1 - compensation)).nan_to_num(nan=0.0)
    return scores * decay.min(dim=0).values


def mask_nms(ious: Tensor, classes: Tensor, *, iou_thresh: float) -> Tensor:
    """Keep each instance that overlaps no kept, better one of its class too much.

    Args:
        ious: (n, n) of each pair of masks, in descending order of score; of an empty mask with itself
            it is 0.
        classes: (n,) class of each.
        iou_thresh: IoU above which the worse one goes.

    Returns:
        (n,) bool. Of two empty masks the second goes.

    Source:
        Greedy suppression, as with boxes: the early SOLO code and AdelaiDet offer it.
    """
    empty = (ious.diagonal() == 0).float()
    ious = ious + empty[:, None] * empty[None, :]
    beats = (ious > iou_thresh) & (classes[:, None] == classes[None, :])
    # One by one, so on the CPU: n is a few hundred.
    rows = to_host(beats.triu(diagonal=1)).numpy()
    suppressed = np.zeros(len(rows), dtype=bool)
    for index, row in enumerate(rows):
        if not suppressed[index]:
            suppressed |= row
    return to_device(torch.from_numpy(~suppressed), ious.device)
