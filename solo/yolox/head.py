"""The head of YOLOX: boxes, objectness and classes by branches of their own, and nothing shared between levels.

Legend: N images, K classes, A points of all levels, level by level and row by row.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from solo.yolox.blocks import Units

# 3x3 convolutions of each branch.
_NUM_CONVS = 2


class Raw(NamedTuple):
    """What the head says at each point.

    Attributes:
        boxes: (N, A, 4): centre beside the point, and logarithm of width and height, in strides.
        objectness: (N, A) logits.
        categories: (N, A, K) logits.
        points: (A, 2) float32, x and y of each point's upper left corner, in pixels.
        strides: (A,) float32.
    """

    boxes: Tensor
    objectness: Tensor
    categories: Tensor
    points: Tensor
    strides: Tensor


class YOLOXHead(nn.Module):
    """A level per feature: a 1x1 convolution, two branches, three predictors."""

    def __init__(
        self,
        channels: Sequence[int],
        *,
        strides: Sequence[int],
        hidden: int,
        num_classes: int,
        unit: Units,
        prior_prob: float = 0.01,
    ) -> None:
        """Build the levels.

        Args:
            channels: Of each feature.
            strides: Of each feature.
            hidden: Channels of the branches.
            num_classes: K.
            unit: How convolutions are made.
            prior_prob: Of an object, and of a class, at any point before training.
        """
        super().__init__()
        self.strides, self.num_classes = tuple(strides), num_classes

        def tower() -> nn.Module:
            return nn.Sequential(*(unit.conv3(hidden, hidden) for _ in range(_NUM_CONVS)))

        def predictors(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(hidden, outputs, 1) for _ in channels)

        self.stems = nn.ModuleList(unit(inputs, hidden, 1) for inputs in channels)
        self.category_towers = nn.ModuleList(tower() for _ in channels)
        self.box_towers = nn.ModuleList(tower() for _ in channels)
        self.category_predictors = predictors(num_classes)
        self.box_predictors = predictors(4)
        self.objectness_predictors = predictors(1)
        for predictor in (*self.category_predictors, *self.objectness_predictors):
            nn.init.constant_(predictor.get_parameter("bias"), -math.log(1 / prior_prob - 1))

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """What has a row per class."""
        return [*self.category_predictors.parameters()]

    def forward(self, features: Sequence[Tensor]) -> Raw:
        """Look at the features of all levels."""
        boxes, objectness, categories = [], [], []
        for level, feature in enumerate(features):
            stem = self.stems[level](feature)
            box_feature = self.box_towers[level](stem)
            boxes.append(_rows(self.box_predictors[level](box_feature)))
            objectness.append(_rows(self.objectness_predictors[level](box_feature)))
            category_feature = self.category_towers[level](stem)
            categories.append(_rows(self.category_predictors[level](category_feature)))
        sizes = [(feature.shape[2], feature.shape[3]) for feature in features]
        points, strides = grid_points(sizes, self.strides, features[0].device)
        return Raw(
            torch.cat(boxes, dim=1),
            torch.cat(objectness, dim=1)[..., 0],
            torch.cat(categories, dim=1),
            points,
            strides,
        )


def _rows(outputs: Tensor) -> Tensor:
    """Turn (N, C, h, w) into (N, h w, C)."""
    return outputs.flatten(2).mT


def grid_points(
    sizes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the points of all levels: x and y in pixels, (A, 2), and strides, (A,), float32.

    Args:
        sizes: (rows, columns) of each level.
        strides: Of each level.
        device: Of the result.
    """
    points, all_strides = [], []
    for (rows, columns), stride in zip(sizes, strides, strict=True):
        y, x = torch.meshgrid(
            torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
        )
        level = torch.stack([x, y], dim=-1).flatten(0, 1).float() * stride
        points.append(level)
        all_strides.append(torch.full_like(level[:, 0], stride))
    return torch.cat(points), torch.cat(all_strides)


def decode(box_raw: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Turn what the head says into boxes.

    Args:
        box_raw: (..., A, 4); see `Raw`.
        points: (A, 2).
        strides: (A,).

    Returns:
        (..., A, 4) float32, XYXY in pixels of the padded image.
    """
    box_raw = box_raw.float()
    centers = box_raw[..., :2] * strides[:, None] + points
    halves = box_raw[..., 2:].exp() * strides[:, None] / 2
    return torch.cat([centers - halves, centers + halves], dim=-1)
