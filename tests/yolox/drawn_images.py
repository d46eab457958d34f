"""Random outputs of a YOLOX head on small images with objects, some of which it has found."""

from typing import NamedTuple

import torch
from detectron2.structures import Boxes, Instances
from torch import Tensor

from solo.yolox.head import Raw, decode, grid_points
from solo.yolox.losses import encode

STRIDES = (8, 16, 32)
NUM_CLASSES = 5


class Drawn(NamedTuple):
    """One image: what the head says, a batch of 1, its boxes (A, 4), and the truth."""

    raw: Raw
    boxes: Tensor
    truth: Instances

    @property
    def assigned(self) -> tuple[Tensor, ...]:
        """The arguments of SimOTA."""
        raw, truth = self.raw, self.truth
        outputs = self.boxes, raw.objectness[0], raw.categories[0]
        return (*outputs, raw.points, raw.strides, truth.gt_boxes.tensor, truth.gt_classes)


def draw_image(seed: int, *, size: int = 96, most: int = 9) -> Drawn:
    """Draw an image of up to so many objects, some of them tiny, half of the points near one of them."""
    generator = torch.Generator().manual_seed(seed)
    normal, uniform = (
        lambda *shape: torch.randn(*shape, generator=generator),
        lambda *shape: torch.rand(*shape, generator=generator),
    )
    count = int(torch.randint(most + 1, (), generator=generator))
    centers = size * uniform(count, 2)
    sides = size * (0.03 + 0.6 * uniform(count, 2) ** 2)
    truth = Instances((size, size))
    truth.gt_boxes = Boxes(torch.cat([centers - sides / 2, centers + sides / 2], dim=1))
    truth.gt_boxes.clip((size, size))
    truth.gt_classes = torch.randint(NUM_CLASSES, (count,), generator=generator)

    points, strides = grid_points(
        [(size // s, size // s) for s in STRIDES], STRIDES, torch.device("cpu")
    )
    boxes = 0.5 * normal(len(points), 4)
    if count:
        near = torch.randint(count, (len(points),), generator=generator)
        found = uniform(len(points)) < 0.5
        wanted = encode(truth.gt_boxes.tensor[near], points, strides) + 0.2 * normal(len(points), 4)
        boxes = torch.where(found[:, None], wanted, boxes)
    raw = Raw(
        boxes[None],
        2 * normal(1, len(points)) - 1,
        2 * normal(1, len(points), NUM_CLASSES) - 1,
        points,
        strides,
    )
    return Drawn(raw, decode(boxes, points, strides), truth)


def cost_tables(drawn: Drawn, epsilon: float = 1e-8) -> tuple[Tensor, Tensor, Tensor]:
    """Return the costs and IoUs (G, A), and the candidates (A,), in float64, object by object and class by class.

    The numbers are those of the published YOLOX: radius 2.5, weight 3, 10 ** 5.
    """
    boxes, objectness, categories, points, strides, true_boxes, true_classes = drawn.assigned
    shape = len(true_boxes), len(points)
    costs, ious = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    places = torch.zeros(2, *shape, dtype=torch.bool)
    scores = (categories.double().sigmoid() * objectness.double().sigmoid()[:, None]).sqrt()
    middles = points.double() + strides.double()[:, None] / 2
    found = boxes.double()
    for number, (left, top, right, bottom) in enumerate(true_boxes.double().tolist()):
        x, y = middles.T
        places[0, number] = (x > left) & (x < right) & (y > top) & (y < bottom)
        reach = 2.5 * strides
        across, down = (x - (left + right) / 2).abs(), (y - (top + bottom) / 2).abs()
        places[1, number] = (across < reach) & (down < reach)
        width = (found[:, 2].clamp(max=right) - found[:, 0].clamp(min=left)).clamp(min=0)
        height = (found[:, 3].clamp(max=bottom) - found[:, 1].clamp(min=top)).clamp(min=0)
        areas = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
        union = areas + (right - left) * (bottom - top) - width * height
        ious[number] = width * height / union
        for kind in range(scores.shape[1]):
            right_one = kind == int(true_classes[number])
            costs[number] -= (scores[:, kind] if right_one else 1 - scores[:, kind]).log()
        costs[number] -= 3 * (ious[number] + epsilon).log()
    costs += 1e5 * ~(places[0] & places[1])
    return costs, ious, (places[0] | places[1]).any(dim=0)


class Known(NamedTuple):
    """What loops say.

    Attributes:
        objects: Of each point, -1 for the background.
        ious: Of each point with its object, else 0.
        margin: By how much the closest decision was taken; what rounds in float32, with 10 ** 5 in the costs,
            may take those below .02 otherwise.
    """

    objects: list[int]
    ious: list[float]
    margin: float


def match_by_loops(drawn: Drawn, epsilon: float = 1e-8) -> Known:
    """Match points and objects of an image, one after the other."""
    costs, ious, candidates = (table.tolist() for table in cost_tables(drawn, epsilon))
    points = [point for point, is_one in enumerate(candidates) if is_one]
    takers: dict[int, list[int]] = {}
    margin = 1.0
    for number, row in enumerate(costs if points else ()):
        total = sum(sorted((ious[number][point] for point in points), reverse=True)[:10])
        count = max(1, int(total))
        in_order = sorted(points, key=row.__getitem__)
        for point in in_order[:count]:
            takers.setdefault(point, []).append(number)
        ends = [row[point] for point in in_order[count - 1 : count + 1]]
        # A sum of IoUs has no 10 ** 5 in it.
        margin = min(margin, ends[-1] - ends[0] or 1.0, 100 * abs(total - round(total)) or 1.0)
    objects, shares = [-1] * len(candidates), [0.0] * len(candidates)
    for point, several in takers.items():
        column = [row[point] for row in costs]
        best = column.index(min(column)) if len(several) > 1 else several[0]
        objects[point], shares[point] = best, ious[best][point]
        if len(several) > 1:
            margin = min(margin, sorted(column)[1] - min(column))
    return Known(objects, shares, margin)
