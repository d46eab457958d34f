"""Which cells are positive by what the network makes of them at present: dynamic k, by the cost of masks.

Legend: N images, M instances of an image, C cells of all levels, K classes, P candidates, which are
(cell, instance) pairs, U cells of an image that are in a candidate, h, w soft mask size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor
from torch.nn import functional as F

from solo.config.choices import Assignment, Collisions, LearntFrom, choose
from solo.errors import UserError
from solo.layers.iteration import current_iteration
from solo.layers.masks import downsample_masks
from solo.layers.stages import stage
from solo.layers.transfer import to_device, to_host
from solo.modeling.grids import Grids
from solo.modeling.predictions import Decoder, Predictions, decoded_at_a_time
from solo.modeling.targets import TargetAssigner, Targets

# Added to the IoU in its logarithm.
_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class DynamicK:
    """Give each instance as many cells as its best masks fit, the cheapest, and to each cell one instance.

    Attributes:
        topk: The IoUs of so many candidates, the largest, add up to an instance's number of cells, ...
        min_cells: ... which is so large at least.

    Source:
        SimOTA of YOLOX, arXiv 2107.08430, 2.1.
    """

    topk: int = 10
    min_cells: int = 1

    def __call__(
        self, cells: Tensor, instances: Tensor, costs: Tensor, ious: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Choose among the candidates of a batch, on the CPU.

        An instance that loses all its cells to cheaper claims takes the cheapest of its candidates that
        nobody has; where there is none, or a cheaper one takes that, too, it has a share in its very cheapest.

        Args:
            cells: (P,) numbers of cells, those of different images being different.
            instances: (P,) likewise.
            costs: (P,) float32.
            ious: (P,) float32.

        Returns:
            own: (P,) bool, pairs of an instance and a cell of its own.
            shares: (P,) bool, pairs whose cell is another's, too; of instances that have no other.
        """
        best = _ranks(instances, -ious) < self.topk
        counts = instances.bincount(ious.where(best, 0)).int().clamp(min=self.min_cells)
        claimed = _ranks(instances, costs) < counts[instances]
        own = _cheapest(cells, costs, claimed)
        free = ~_has(instances, own) & ~_has(cells, own)
        own = own | _cheapest(cells, costs, _cheapest(instances, costs, free))
        return own, _cheapest(instances, costs, ~_has(instances, own))


def _ranks(groups: Tensor, keys: Tensor) -> Tensor:
    """Return the place of each pair in its group by ascending key: (P,), (P,) -> (P,)."""
    order = keys.argsort(stable=True)
    order = order[groups[order].argsort(stable=True)]
    ordered = groups[order]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order)) - torch.searchsorted(ordered, ordered)
    return ranks


def _cheapest(groups: Tensor, costs: Tensor, allowed: Tensor) -> Tensor:
    """Return (P,) bool: of each group the pair of least cost, of those that are allowed."""
    return allowed & (_ranks(groups, costs.where(allowed, torch.inf)) == 0)


def _has(groups: Tensor, chosen: Tensor) -> Tensor:
    """Return (P,) bool: whether any pair of the same group is chosen."""
    return torch.isin(groups, groups[chosen])


@dataclass(frozen=True, kw_only=True)
class DynamicAssigner(TargetAssigner):
    """The rule that gives instances to the cells that make the best of them at present.

    Candidates are the cells of the region on all levels that take an instance. The cost of one is the cross
    entropy of its class and -log(IoU) of its soft mask, with a weight. The IoU is sum(pt) / sum(p^2 + t^2 - pt), what
    dice, as the loss has it, says of a mask.

    Without predictions, and in the first iterations, when they are noise, it is the rule that it derives from.

    Source:
        SimOTA of YOLOX (arXiv 2107.08430, 2.1), with departures. Its IoU is of boxes; here it is of soft masks, which
        need no threshold. Its class cost is the binary cross entropy added up over all classes; here it is that of the
        object's class alone. Its candidates lie in the box or around the centre, those that are not in both at a cost of
        100,000 more; here what is outside the region is no candidate.

    Attributes:
        region_sigma: As `sigma`, of the region of the candidates.
        region_radius: As `center_radius`, likewise.
        mask_weight: Of -log(IoU).
        warmup_iters: The first iterations.
        choice: What chooses among the candidates.
    """

    region_sigma: float = 0.6
    region_radius: int = 2
    mask_weight: float = 3.0
    warmup_iters: int = 0
    choice: DynamicK = field(default_factory=DynamicK)

    @classmethod
    def from_config(
        cls, cfg: CfgNode, grids: Grids, default_collisions: Collisions
    ) -> "DynamicAssigner":
        """Read MODEL.SOLO; see `TargetAssigner.from_config`."""
        solo = cfg.MODEL.SOLO
        node = solo.DYNAMIC
        if solo.LOSS.SUPERVISION == LearntFrom.BOX:
            raise UserError(
                'MODEL.SOLO.ASSIGNMENT "dynamic" compares masks, which MODEL.SOLO.LOSS.SUPERVISION "box" does '
                'without: set the one to "grid", or the other to "mask".'
            )
        for key in ("SIGMA", "RADIUS", "MASK_WEIGHT", "WARMUP_ITERS", "TOPK", "MIN_CELLS"):
            least = int(key in ("TOPK", "MIN_CELLS"))
            if not node[key] >= least:
                raise UserError(
                    f"MODEL.SOLO.DYNAMIC.{key} is {node[key]}; it has to be {least} at least."
                )
        return replace(
            super().from_config(cfg, grids, default_collisions),
            region_sigma=node.SIGMA,
            region_radius=node.RADIUS,
            mask_weight=node.MASK_WEIGHT,
            warmup_iters=node.WARMUP_ITERS,
            choice=DynamicK(topk=node.TOPK, min_cells=node.MIN_CELLS),
        )

    @property
    def needs_predictions(self) -> bool:
        """Whether the first iterations are over; outside of a training, too."""
        iteration = current_iteration()
        return iteration is None or iteration >= self.warmup_iters

    @stage("targets")
    @torch.no_grad()
    def of_batch(
        self,
        images: Sequence[Instances],
        size: tuple[int, int],
        predictions: Predictions | None = None,
    ) -> list[Targets]:
        """Assign the instances of all images, and wait for the device once more.

        Args:
            images: See `TargetAssigner.of_batch`; with masks.
            size: (H, W) of the padded input.
            predictions: Of the network, for these images.
        """
        if predictions is None or not self.needs_predictions:
            return super().of_batch(images, size)
        claims = self._candidates.of_batch(images, size)
        counts = [len(claim.cells) for claim in claims]
        image = torch.arange(len(images)).repeat_interleave(torch.tensor(counts))
        cells = torch.cat([claim.cells for claim in claims])
        instances = torch.cat([claim.instances for claim in claims])
        instances += torch.tensor([0, *map(len, images)]).cumsum(dim=0)[image]
        classes = torch.cat([to_host(one.gt_classes) for one in images])

        ious = torch.cat(
            [
                _mask_ious(predictions, number, one.gt_masks, claim, size)
                for number, (one, claim) in enumerate(zip(images, claims, strict=True))
            ]
        )
        costs = self._category_costs(predictions.logits, image, cells, classes[instances])
        costs = costs - self.mask_weight * (ious + _EPSILON).log()
        costs, ious = to_host(torch.stack([costs, ious])).unbind()
        cells += image * self.grids.num_cells
        own, shares = self.choice(cells, instances, costs, ious)
        chosen = zip(claims, own.split(counts), shares.split(counts), strict=True)
        return [
            self._chosen(to_host(one.gt_classes), *parts)
            for one, parts in zip(images, chosen, strict=True)
        ]

    @cached_property
    def _candidates(self) -> TargetAssigner:
        """The rule by which all cells of the region claim their instances."""
        return TargetAssigner(
            grids=self.grids,
            scale_ranges=self.scale_ranges,
            sigma=self.region_sigma,
            center_radius=self.region_radius,
            collisions=Collisions.ALL,
            num_classes=self.num_classes,
            center=self.center,
            scale_margin=self.scale_margin,
        )

    def _category_costs(
        self, logits: Tensor, image: Tensor, cells: Tensor, classes: Tensor
    ) -> Tensor:
        """Return -log of the probability that each cell gives to a class: (P,) float32, on the device.

        Args:
            logits: See `Predictions`.
            image: (P,) number of the image of each cell.
            cells: (P,) numbers of cells.
            classes: (P,) int64.
        """
        image, cells, classes = to_device(torch.stack([image, cells, classes]), logits.device)
        if logits.shape[2] > self.num_classes:  # softmax
            return F.cross_entropy(logits[image, cells].float(), classes, reduction="none")
        return F.softplus(-logits[image, cells, classes].float())

    def _chosen(self, classes: Tensor, claims: Targets, own: Tensor, shares: Tensor) -> Targets:
        """Make the targets of an image of the candidates that were chosen."""
        categories = torch.full_like(claims.categories, self.num_classes)
        categories[claims.cells[own]] = classes[claims.instances[own]]
        chosen = own | shares
        cells, order = claims.cells[chosen].sort(stable=True)
        return self._with_negatives(categories, cells, claims.instances[chosen][order])


def _mask_ious(
    predictions: Predictions, image: int, masks: Tensor, claims: Targets, size: tuple[int, int]
) -> Tensor:
    """Return the soft IoU of the mask of each candidate with its instance: (P,) float32, on the device.

    The mask of a cell is decoded once, and compared with all instances by a product of matrices.

    Args:
        predictions: Of the batch.
        image: Number of the image.
        masks: (M, height, width) bool, its instances.
        claims: Its candidates.
        size: (H, W) of the padded input.
    """
    if not len(claims.cells):
        return torch.zeros(0, device=masks.device)
    stride = predictions.stride
    frame = size[0] // stride, size[1] // stride
    shown = downsample_masks(masks, stride, frame).flatten(1).float()
    cells, places = claims.cells.unique(return_inverse=True)
    overlaps, squares = _sums(predictions.decoder(image, frame), cells, shown)
    places, instances = to_device(torch.stack([places, claims.instances]), masks.device)
    overlap = overlaps[places, instances]
    union = squares[places] + shown.sum(dim=1)[instances] - overlap
    return overlap / union.clamp(min=_EPSILON)


def _sums(decode: Decoder, cells: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Return (U, M) sums of the products of soft masks and instances, and (U,) of the squares of the former.

    Args:
        decode: Makes soft masks.
        cells: (U,) numbers of cells.
        shown: (M, h * w) instances, of zeros and ones.
    """
    sums = []
    for part in decoded_at_a_time(cells, shown.shape[1]):
        soft = decode(part).flatten(1)
        with torch.autocast(soft.device.type, enabled=False):
            sums.append((soft @ shown.mT, soft.square().sum(dim=1)))
    overlaps, squares = zip(*sums, strict=True)
    return torch.cat(overlaps), torch.cat(squares)


def choose_assigner(cfg: CfgNode, grids: Grids, default_collisions: Collisions) -> TargetAssigner:
    """Return the rule that MODEL.SOLO.ASSIGNMENT names; see `TargetAssigner.from_config`."""
    word = choose(Assignment, cfg.MODEL.SOLO.ASSIGNMENT, "MODEL.SOLO.ASSIGNMENT")
    rule = DynamicAssigner if word is Assignment.DYNAMIC else TargetAssigner
    return rule.from_config(cfg, grids, default_collisions)
