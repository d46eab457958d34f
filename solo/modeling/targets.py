"""Which cells are positive, and for which instance: vectorised, on the CPU.

Masks are measured by whoever loads them, or where they are. The rest is arithmetic with a few numbers an instance, after
which the CPU knows how much of what there is: the steps that follow ask a GPU for nothing.

Legend: M instances of an image, L levels, S cells per side, C cells of all levels, P positive
(cell, instance) pairs, H, W padded input size in pixels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor

from solo.config.choices import Center, Collisions, choose
from solo.errors import UserError
from solo.layers.masks import measure_masks
from solo.layers.stages import stage
from solo.layers.transfer import to_host
from solo.modeling.grids import Grids
from solo.modeling.ground_truth import measure
from solo.modeling.negatives import draw_negatives
from solo.modeling.predictions import Predictions


class Targets(NamedTuple):
    """What one image asks of the head, on the CPU.

    Attributes:
        categories: (C,) class of each cell, K for the background.
        cells: (P,) the cell of each positive pair, ascending in level.
        instances: (P,) the instance whose mask that cell has to give.
        negatives: The background cells whose masks have to be empty.
    """

    categories: Tensor
    cells: Tensor
    instances: Tensor
    negatives: Tensor = torch.empty(0, dtype=torch.int64)


class _Levels(NamedTuple):
    """What the rule knows of each level, one row a level, to be used with M instances.

    Attributes:
        smallest: (L, 1) sqrt(w * h) in pixels.
        largest: (L, 1) likewise.
        steps: (L, 1, 1, 1) size of a cell, 1 / S.
        ends: (L, 1, 1, 1) number of the last row and column.
        sides: (L,) S.
        offsets: (L + 1,) number of the first cell.
        ahead: (S,) numbers of the rows and columns of the finest level.
    """

    smallest: Tensor
    largest: Tensor
    steps: Tensor
    ends: Tensor
    sides: Tensor
    offsets: Tensor
    ahead: Tensor


A = TypeVar("A", bound="TargetAssigner")


@dataclass(frozen=True, kw_only=True)
class TargetAssigner:
    """The rule that gives instances to cells.

    Attributes:
        grids: The cells of all levels.
        scale_ranges: Per level, the smallest and largest sqrt(w * h) in pixels, both included.
        scale_margin: Both ends lie further out by this factor.
        sigma: Share of the box around the centre whose cells are positive, epsilon.
        center_radius: Cells that the region may reach beyond the centre's own; 0 for no limit.
        collisions: Of the instances that claim the same cell, all supervise its mask (the category is
            the last one's), only the last, or only the smallest.
        num_classes: K.
        center: Of the mask's mass, or of the box.
        negatives: Background cells per pair whose masks have to be empty.
        seed: Of the draw of these cells.

    Source:
        SOLO section 3.3.1; SOLOv2 section 3.2.
    """

    grids: Grids
    scale_ranges: tuple[tuple[float, float], ...]
    sigma: float
    center_radius: int
    collisions: Collisions
    num_classes: int
    center: Center = Center.MASS
    scale_margin: float = 1.0
    negatives: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse rules that contradict themselves."""
        if len(self.scale_ranges) != self.grids.num_levels:
            raise UserError(
                f"SCALE_RANGES has {len(self.scale_ranges)} entries and NUM_GRIDS "
                f"{self.grids.num_levels}; give one of each per level."
            )
        choose(Collisions, self.collisions, "MODEL.SOLO.COLLISIONS")
        choose(Center, self.center, "MODEL.SOLO.CENTER")
        if not self.scale_margin >= 1:
            raise UserError(
                f"MODEL.SOLO.SCALE_MARGIN is {self.scale_margin}; give a factor, or 1 for SCALE_RANGES as they are."
            )
        if self.negatives < 0:
            raise UserError(
                f"MODEL.SOLO.LOSS.NEGATIVES is {self.negatives}; give cells per pair, or 0 for none."
            )

    @classmethod
    def from_config(cls: type[A], cfg: CfgNode, grids: Grids, default_collisions: Collisions) -> A:
        """Read MODEL.SOLO.

        Args:
            cfg: The config, with the number of classes.
            grids: The cells of all levels.
            default_collisions: What an empty COLLISIONS stands for.

        Raises:
            UserError: If the rules contradict themselves.
        """
        node = cfg.MODEL.SOLO
        if any(len(scales) != 2 for scales in node.SCALE_RANGES):
            raise UserError(
                f"MODEL.SOLO.SCALE_RANGES is {node.SCALE_RANGES}; give [low, high] in pixels per level."
            )
        return cls(
            grids=grids,
            scale_ranges=tuple((low, high) for low, high in node.SCALE_RANGES),
            sigma=node.SIGMA,
            center_radius=node.CENTER_RADIUS,
            collisions=node.COLLISIONS or default_collisions,
            num_classes=node.NUM_CLASSES,
            center=node.CENTER,
            scale_margin=node.SCALE_MARGIN,
            negatives=node.LOSS.NEGATIVES,
            seed=max(cfg.SEED, 0),
        )

    @property
    def reaches(self) -> list[tuple[float, float]]:
        """What sizes each level takes: its range, widened by the margin."""
        margin = self.scale_margin
        return [(low / margin, high * margin) for low, high in self.scale_ranges]

    @property
    def needs_predictions(self) -> bool:
        """Whether the present iteration asks `of_batch` for what the network predicts."""
        return False

    @torch.no_grad()
    def __call__(
        self, boxes: Tensor, classes: Tensor, masks: Tensor, size: tuple[int, int]
    ) -> Targets:
        """Assign the instances of one image.

        Args:
            boxes: (M, 4) XYXY in pixels.
            classes: (M,) int64 in [0, K).
            masks: (M, h, w) bool, h <= H, w <= W; an empty mask gets no cell.
            size: (H, W) of the padded input.

        Returns:
            The targets; pairs are in order of level, instance, row, column.
        """
        return self._assign(to_host(boxes), to_host(classes), to_host(measure_masks(masks)), size)

    @stage("targets")
    @torch.no_grad()
    def of_batch(
        self,
        images: Sequence[Instances],
        size: tuple[int, int],
        predictions: Predictions | None = None,
    ) -> list[Targets]:
        """Assign the instances of all images, and wait for the device at most once.

        Args:
            images: With gt_boxes and gt_classes, best on the CPU, and gt_masks, (M, h, w) bool. Without masks, boxes
                are measured in their place. With gt_measures, which the mapper adds, nothing is, or waited for.
            size: (H, W) of the padded input.
            predictions: For rules that depend on them; this one does not.
        """
        measured = measure(images)
        return [
            self._assign(to_host(image.gt_boxes.tensor), to_host(image.gt_classes), part, size)
            for image, part in zip(images, measured.split([*map(len, images)]), strict=True)
        ]

    def count(self, targets: Sequence[Targets]) -> Tensor:
        """Return (3,) int64: positive cells, pairs and negatives together, and images; on the CPU."""
        categories = torch.stack([target.categories for target in targets])
        positive = int((categories < self.num_classes).sum())
        masks = sum(len(target.cells) + len(target.negatives) for target in targets)
        return torch.tensor([positive, masks, len(targets)])

    def _assign(
        self, boxes: Tensor, classes: Tensor, measured: Tensor, size: tuple[int, int]
    ) -> Targets:
        centers, areas = measured[:, :2].float(), measured[:, 2].long()
        if self.center == Center.BOX:
            centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        cells, instances = self._pairs(boxes, centers, areas > 0, size)
        owners = self._owners(cells, instances, areas)
        if self.collisions != Collisions.ALL:
            kept = owners[cells] == instances
            cells, order = cells[kept].sort()
            instances = instances[kept][order]
        background = classes.new_full((1,), self.num_classes)
        # An unowned cell has owner -1: the background, appended as the last class.
        return self._with_negatives(torch.cat([classes, background])[owners], cells, instances)

    def _with_negatives(self, categories: Tensor, cells: Tensor, instances: Tensor) -> Targets:
        targets = Targets(categories, cells, instances)
        if not self.negatives:
            return targets
        free = categories == self.num_classes
        drawn = draw_negatives(free, cells, self.grids, per_pair=self.negatives, seed=self.seed)
        return targets._replace(negatives=drawn)

    def _pairs(
        self, boxes: Tensor, centers: Tensor, present: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return cells (P,) and instances (P,) of all pairs."""
        levels = self._levels
        extents = boxes[:, 2:] - boxes[:, :2]
        scales = extents.prod(dim=1).sqrt()
        taken = (scales >= levels.smallest) & (scales <= levels.largest) & present  # (L, M)

        half = 0.5 * extents * self.sigma
        places = torch.stack([centers - half, centers + half, centers])
        frame = boxes.new_tensor([size[1], size[0]])
        first, last, own = self._to_cells(places / frame).unbind(dim=1)  # (L, M, 2), x and y
        if self.center_radius:
            first = torch.maximum(first, own - self.center_radius)
            last = torch.minimum(last, own + self.center_radius)

        # (L, M, 2, S)
        inside = (levels.ahead >= first[..., None]) & (levels.ahead <= last[..., None])
        columns, rows = inside.unbind(dim=2)
        claimed = taken[:, :, None, None] & rows[..., :, None] & columns[..., None, :]
        level, instance, row, column = claimed.nonzero(as_tuple=True)
        return levels.offsets[level] + row * levels.sides[level] + column, instance

    def _to_cells(self, positions: Tensor) -> Tensor:
        """Turn positions in [0, 1], (k, M, 2), into cells on each level's grid, (L, k, M, 2).

        A floor division by 1 / S in float32, as in the reference: unlike floor(position * S), a
        position right on a border usually falls into the cell before it.
        """
        cells = torch.floor_divide(positions.float(), self._levels.steps).clamp_(min=0)
        return torch.minimum(cells, self._levels.ends)

    @cached_property
    def _levels(self) -> _Levels:
        """Make the constants once: with few instances, they are half of the work."""
        ranges = torch.tensor(self.reaches, dtype=torch.float32)
        sides = torch.tensor(self.grids.sides)
        return _Levels(
            smallest=ranges[:, :1],
            largest=ranges[:, 1:],
            steps=(1.0 / sides.double()).float().view(-1, 1, 1, 1),
            ends=(sides.float() - 1).view(-1, 1, 1, 1),
            sides=sides,
            offsets=torch.tensor(self.grids.offsets),
            ahead=torch.arange(float(max(self.grids.sides))),
        )

    def _owners(self, cells: Tensor, instances: Tensor, areas: Tensor) -> Tensor:
        """Return the instance that gives each cell its category: (C,), -1 for none."""
        rank = torch.arange(len(areas))
        if self.collisions == Collisions.SMALLEST:
            rank = areas.argsort(descending=True, stable=True).argsort()
        owners = torch.full((self.grids.num_cells,), -1)
        owners.scatter_reduce_(0, cells, rank[instances], reduce="amax")
        if self.collisions == Collisions.SMALLEST and len(areas):
            owners = torch.where(owners >= 0, rank.argsort()[owners], -1)
        return owners
