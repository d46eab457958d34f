"""Suppression of what was found twice: points NMS on the grids, matrix or greedy NMS on masks.

Legend: n instances in descending order of score, K classes, S grid side, H, W mask size.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Pixels of all masks turned to float32 at a time for their intersections (64 MB).
_PIXELS_AT_A_TIME = 1 << 24


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


def mask_intersections(masks: Tensor) -> Tensor:
    """Count the pixels that each pair of masks shares.

    As a product of bytes on CPUs, which takes no copy of the masks. Elsewhere in float32, even under
    autocast (an intersection of 67,200 pixels overflows float16), a bounded number of pixels at a time.

    Args:
        masks: (n, H, W) bool.

    Returns:
        (n, n) float32, exact for masks under 2 ** 24 pixels.
    """
    pixels = masks.flatten(1)
    if masks.device.type == "cpu" and torch.backends.mkldnn.is_available():
        pixels = pixels.view(torch.int8)
        return torch._int_mm(pixels, pixels.t()).float()
    return _float_product(pixels)


def _float_product(pixels: Tensor) -> Tensor:
    count = len(pixels)
    product = torch.zeros(count, count, device=pixels.device)
    with torch.autocast(pixels.device.type, enabled=False):
        for part in pixels.split(max(_PIXELS_AT_A_TIME // max(count, 1), 1), dim=1):
            part = part.float()
            product.addmm_(part, part.t())
    return product


def mask_ious(masks: Tensor) -> Tensor:
    """Return the (n, n) float32 IoU of each pair of (n, H, W) bool masks; 0 for two empty ones."""
    return ious_of(mask_intersections(masks))


def ious_of(intersections: Tensor) -> Tensor:
    """Return the (n, n) IoU of masks of which (n, n) pixels are shared, those of a mask its area."""
    areas = intersections.diagonal()
    unions = areas[:, None] + areas[None, :] - intersections
    return intersections / unions.clamp(min=1)


def matrix_nms(
    ious: Tensor,
    classes: Tensor,
    scores: Tensor,
    *,
    kernel: str = "gaussian",
    sigma: float = 2.0,
) -> Tensor:
    """Decay the score of each instance by its overlaps with better ones of its class, in parallel.

    Args:
        ious: (n, n) of each pair of masks, in descending order of score.
        classes: (n,) class of each.
        scores: (n,).
        kernel: "gaussian", f = exp(-sigma * iou ** 2), or "linear", f = 1 - iou.
        sigma: Of the Gaussian kernel.

    Returns:
        (n,) decayed scores, not sorted again.

    Raises:
        ValueError: If the kernel is of another name.

    Source:
        SOLOv2 section 3.3: decay_j = min_i f(iou_ij) / f(max_k iou_ki).
    """
    if kernel not in ("gaussian", "linear"):
        raise ValueError(f"NMS_KERNEL is {kernel!r}; use 'gaussian' or 'linear'.")
    if len(ious) == 0:
        return scores
    same_class = classes[:, None] == classes[None, :]
    ious = (ious * same_class).triu(diagonal=1)
    # How much the suppressor i was itself overlapped by a better one.
    compensation = ious.max(dim=0).values[:, None]
    if kernel == "gaussian":
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
    beats = beats.triu(diagonal=1).cpu().numpy()
    suppressed = np.zeros(len(beats), dtype=bool)
    for index, row in enumerate(beats):
        if not suppressed[index]:
            suppressed |= row
    return torch.from_numpy(~suppressed).to(ious.device)
