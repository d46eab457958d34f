"""Masks from boxes alone: their projections fill the box, and neighbours of one colour belong together.

Pixels here are those of the soft masks. An edge joins a pixel and one of its neighbours; of the two ways to see
it, one is kept, so that a 3 x 3 neighbourhood has E = 4 kinds of edges, not 8.

Legend: P positive pairs, M instances, E kinds of edges, H, W soft mask size, h, w that of the image, which
padding may have made smaller than the former.

Source:
    BoxInst (arXiv 2012.02310).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from solo.layers.lab import to_lab
from solo.layers.transfer import to_device
from solo.modeling.losses import dice_loss
from solo.structures.box import Box

# Pixels of soft masks whose edges are looked at at a time (2 MB).
_PIXELS_AT_A_TIME = 1 << 19
# Below this probability of two pixels to be alike, float32 sees none.
_SMALLEST = 1e-8
# Distance in LAB at which the similarity of two colours has fallen to 1 / e, theta.
_THETA = 2.0

Offset = tuple[int, int]
"""Rows down and columns to the right from a pixel to its neighbour."""


def edge_offsets(size: int, dilation: int) -> tuple[Offset, ...]:
    """Return the kinds of edges in a neighbourhood: those that lead down, or to the right.

    Args:
        size: Side of the neighbourhood, odd.
        dilation: Pixels from one of its pixels to the next.
    """
    reach = range(-(size // 2), size // 2 + 1)
    ahead = [(row, column) for row in reach for column in reach if (row, column) > (0, 0)]
    return tuple((row * dilation, column * dilation) for row, column in ahead)


def box_windows(boxes: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Return the pixels whose centres lie in boxes; of a box without one, that which holds its centre.

    Args:
        boxes: (M, 4) XYXY in pixels of the input.
        stride: Of the soft masks.
        size: (h, w).

    Returns:
        (M, 4) int64 left, top, right, bottom, the far edges exclusive: each holds a pixel at least.
    """
    corners = boxes.view(-1, 2, 2).double() / stride
    ends = torch.tensor([size[1], size[0]])
    first, last = (corners - 0.5).ceil().long().unbind(dim=1)
    middle = corners.mean(dim=1).floor().long().clamp(min=0).minimum(ends - 1)
    first, last = first.clamp(min=0).minimum(ends), last.clamp(min=0).minimum(ends)
    thin = first >= last
    return torch.cat([first.where(~thin, middle), last.where(~thin, middle + 1)], dim=1)


def similar_neighbours(
    image: Tensor, stride: int, offsets: Sequence[Offset], threshold: float
) -> Tensor:
    """Tell which edges join pixels of one colour.

    Args:
        image: (3, height, width) RGB from 0 to 255, at the size of the input.
        stride: Of the soft masks.
        offsets: The E kinds of edges.
        threshold: Of the similarity, in (0, 1]: exp(-distance / 2), the distance that in LAB.

    Returns:
        (E, h, w) bool, at the pixel that an edge starts from; False where it leads out of the image.

    Source:
        BoxInst section 3.3, the colour similarity.
    """
    # What is left of a block at the border is averaged alone: padding has no colour.
    shrunk = F.avg_pool2d(image.float(), stride, ceil_mode=True)
    lab = to_lab(shrunk)
    similar = lab.new_zeros((len(offsets), *lab.shape[1:]), dtype=torch.bool)
    for kind, offset in enumerate(offsets):
        here, there = _ends(offset, Box(0, 0, lab.shape[2], lab.shape[1]), lab.shape[1:])
        distance = (
            (lab[:, here[0], here[1]] - lab[:, there[0], there[1]]).square().sum(dim=0).sqrt()
        )
        similar[kind][here] = (-distance / _THETA).exp() >= threshold
    return similar


def count_edges(similar: Tensor, offsets: Sequence[Offset], windows: Tensor) -> Tensor:
    """Count the edges of one colour from pixels in each window, so that one inside counts twice.

    Args:
        similar: (E, h, w) bool.
        offsets: The kinds of edges.
        windows: (M, 4) int64, see :func:`box_windows`.

    Returns:
        (M,) int64.
    """
    # Sums over all that lies above and to the left: four of them make that over a window.
    sums = F.pad(similar.long(), (1, 0, 1, 0)).cumsum(dim=1).cumsum(dim=2)
    ends = torch.tensor([similar.shape[2], similar.shape[1]] * 2)
    total = sums.new_zeros(len(windows))
    for kind, (down, right) in enumerate(offsets):
        for shift in (torch.zeros(4, dtype=torch.int64), torch.tensor([right, down] * 2)):
            moved = to_device((windows - shift).clamp(min=0).minimum(ends), sums.device)
            x0, y0, x1, y1 = moved.unbind(dim=1)
            total += sums[kind, y1, x1] - sums[kind, y0, x1] - sums[kind, y1, x0]
            total += sums[kind, y0, x0]
    return total


def projection_loss(
    soft_masks: Tensor, windows: Tensor, instances: Tensor, *, smooth: float = 0.0
) -> Tensor:
    """Compare the shadows of soft masks on both axes with those of the boxes.

    Args:
        soft_masks: (P, H, W) probabilities.
        windows: (M, 4) int64, see :func:`box_windows`.
        instances: (P,) the instance of each soft mask, on the CPU.
        smooth: See `dice_loss`.

    Returns:
        (P,) float32: the dice losses on both axes added up, in [0, 2].

    Source:
        BoxInst section 3.2, the projection term.
    """
    device = soft_masks.device
    shown = to_device(instances, device)
    total = torch.zeros((), device=device)
    for axis, (first, last) in enumerate(_intervals(windows)):
        shadows = soft_masks.max(dim=1 + axis).values[:, None]
        filled = to_device(_inside(first, last, shadows.shape[2]), device)
        total = total + dice_loss(shadows, filled[:, None], shown, smooth=smooth)
    return total


def pairwise_loss(
    soft_masks: Tensor,
    similar: Tensor,
    offsets: Sequence[Offset],
    windows: Tensor,
    instances: Tensor,
) -> Tensor:
    """Add up -log P(both ends are alike) over the edges of one colour from pixels in the box.

    Nothing beyond the reach of a box is looked at. It is fastest with the pairs of an instance in a row.

    Args:
        soft_masks: (P, H, W) probabilities.
        similar: (E, h, w) bool, see :func:`similar_neighbours`.
        offsets: The kinds of edges.
        windows: (M, 4) int64, see :func:`box_windows`.
        instances: (P,) the instance of each soft mask, on the CPU.

    Returns:
        (P,): a sum over as many edges as :func:`count_edges` tells.

    Source:
        BoxInst sections 3.2 and 3.3, the pairwise term.
    """
    edges = _Edges(similar, offsets, windows, instances)
    return _Pairwise.apply(soft_masks, edges)


class _Block(NamedTuple):
    """Edges of one kind of some pairs of one instance.

    Attributes:
        here: Where in the soft masks the edges start: pairs, rows, columns.
        there: Where they end.
        weights: (rows, columns) float32 how often an edge counts: 0, 1 or 2 times.
    """

    here: tuple[slice, slice, slice]
    there: tuple[slice, slice, slice]
    weights: Tensor


class _Edges(NamedTuple):
    """The arguments of :func:`pairwise_loss` beside the soft masks."""

    similar: Tensor
    offsets: Sequence[Offset]
    windows: Tensor
    instances: Tensor

    def blocks(self) -> Iterator[_Block]:
        """Yield all edges that count, as many at a time as fit a cache."""
        size = self.similar.shape[1:]
        columns, rows = (
            to_device(_inside(*interval, side), self.similar.device).float()
            for interval, side in zip(_intervals(self.windows), reversed(size), strict=True)
        )
        runs, lengths = self.instances.unique_consecutive(return_counts=True)
        begin = 0
        for instance, length in zip(runs.tolist(), lengths.tolist(), strict=True):
            window = Box(*self.windows[instance].tolist())
            for kind, offset in enumerate(self.offsets):
                here, there = _ends(offset, window, size)
                own, other = (
                    rows[instance, part[0], None] * columns[instance, None, part[1]]
                    for part in (here, there)
                )
                weights = self.similar[kind][here] * (own + other)
                step = max(_PIXELS_AT_A_TIME // max(weights.numel(), 1), 1)
                for start in range(begin, begin + length, step):
                    pairs = slice(start, min(start + step, begin + length))
                    yield _Block((pairs, *here), (pairs, *there), weights)
            begin += length


class _Pairwise(torch.autograd.Function):
    """The pairwise term and its gradient: nothing of the size of the soft masks but these.

    Of two pixels with the probabilities p and q, s = p q + (1 - p) (1 - q) is that of being alike; the
    derivative of -log s by p is (1 - 2 q) / s.
    """

    @staticmethod
    def forward(ctx: Any, soft_masks: Tensor, edges: _Edges) -> Tensor:
        ctx.save_for_backward(soft_masks)
        ctx.edges = edges
        total = soft_masks.new_zeros(len(soft_masks))
        for here, there, weights in edges.blocks():
            alike = _alike(soft_masks[here], soft_masks[there])
            total[here[0]] -= alike.log_().mul_(weights).sum(dim=(1, 2))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (soft_masks,) = ctx.saved_tensors
        result = torch.zeros_like(soft_masks)
        for here, there, weights in ctx.edges.blocks():
            first, second = soft_masks[here], soft_masks[there]
            factor = weights / _alike(first, second)
            result[here] += (1 - 2 * second) * factor
            result[there] += (1 - 2 * first) * factor
        return result.mul_(gradient.view(-1, 1, 1)), None


def _alike(first: Tensor, second: Tensor) -> Tensor:
    """Return the probability that two pixels both belong to the mask, or both do not."""
    return torch.addcmul((1 - first) * (1 - second), first, second).clamp_(min=_SMALLEST)


def _ends(
    offset: Offset, window: Box, size: Sequence[int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where edges start and where they end: all with an end in a window, and some beside it.

    Args:
        offset: From the start to the end.
        window: Of pixels.
        size: (h, w): both ends lie within.
    """
    down, right = offset
    height, width = size
    back = window.moved(-right, -down)
    hull = Box(*map(min, window[:2], back[:2]), *map(max, window[2:], back[2:]))
    here = hull.common(
        Box(max(-right, 0), max(-down, 0), width - max(right, 0), height - max(down, 0))
    )
    return here.slices, here.moved(right, down).slices


def _intervals(windows: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the first and last columns of windows, and the first and last rows."""
    left, top, right, bottom = windows.unbind(dim=1)
    return (left, right), (top, bottom)


def _inside(first: Tensor, last: Tensor, length: int) -> Tensor:
    """Tell which of so many rows or columns lie in the intervals: (M, length) bool."""
    ahead = torch.arange(length)
    return (ahead >= first[:, None]) & (ahead < last[:, None])
