"""How the objects of a data set are given to cells, counted.

Legend: I images, M objects of all of them, L levels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from solo.config.choices import Collisions
from solo.errors import UserError
from solo.modeling.grids import Grids
from solo.modeling.targets import TargetAssigner
from solo.survey.seen_images import SeenImage


@dataclass(frozen=True, eq=False, kw_only=True)
class Survey:
    """What the rule that gives objects to cells makes of a sample of images."""

    sizes: np.ndarray  # (M,) sqrt(w * h) of the boxes, in pixels of the input
    classes: np.ndarray  # (M,)
    objects: np.ndarray  # (I,) of each image
    frames: np.ndarray  # (I, 2) height and width of the inputs, padded to their batches
    claimed: np.ndarray  # (M, L) cells that an object claims
    kept: np.ndarray  # (M, L) cells that it has after COLLISIONS took effect
    occupied: np.ndarray  # (L,) positive cells
    shared: np.ndarray  # (L,) positive cells that several objects claim

    @property
    def out_of_range(self) -> float:
        """Share of the objects that no level takes."""
        return _share((self.claimed.sum(axis=1) == 0).sum(), len(self.sizes))

    @property
    def without_cell(self) -> float:
        """Share of the objects that have no cell in the end, whatever the reason."""
        return _share((self.kept.sum(axis=1) == 0).sum(), len(self.sizes))

    @property
    def lost(self) -> float:
        """Share of the claimed (cell, object) pairs that COLLISIONS drops."""
        return 1 - _share(self.kept.sum(), self.claimed.sum(), nothing=1)

    @property
    def shared_by_level(self) -> np.ndarray:
        """(L,) share of the positive cells that several objects claim."""
        return self.shared / np.maximum(self.occupied, 1)

    @property
    def objects_by_level(self) -> np.ndarray:
        """(L,) objects that have a cell on a level; one may count on several."""
        return (self.kept > 0).sum(axis=0)

    def of_levels(self, columns: Sequence[int]) -> "Survey":
        """Return the survey of a rule that has only these of the levels."""
        names = ("claimed", "kept", "occupied", "shared")
        return replace(self, **{name: getattr(self, name)[..., columns] for name in names})


def _share(part: float, whole: float, nothing: float = 0) -> float:
    return float(part / whole) if whole else nothing


def take_survey(images: Iterable[SeenImage], assigner: TargetAssigner) -> Survey:
    """Count how objects are given to cells.

    Args:
        images: The images, with their objects.
        assigner: The rule.

    Raises:
        UserError: There is no object in any of the images.
    """
    counted = [_survey_image(image, assigner) for image in images]
    if not any(len(one.sizes) for one in counted):
        raise UserError(
            f"None of the {len(counted)} images looked at shows an object after the augmentations: "
            "check the annotations, or look at more images."
        )
    columns = {
        field.name: [getattr(one, field.name) for one in counted] for field in fields(Survey)
    }
    per_level = {name: sum(columns.pop(name)) for name in ("occupied", "shared")}
    return Survey(**{name: np.concatenate(parts) for name, parts in columns.items()}, **per_level)


def _survey_image(image: SeenImage, assigner: TargetAssigner) -> Survey:
    boxes, classes = image.truth.gt_boxes.tensor, image.truth.gt_classes
    arguments = boxes, classes, image.truth.gt_masks, image.size
    grids = assigner.grids
    claims = replace(assigner, collisions=Collisions.ALL)(*arguments)
    kept = claims if assigner.collisions == Collisions.ALL else assigner(*arguments)

    cells, claimants = claims.cells.unique(return_counts=True)
    return Survey(
        sizes=(boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().numpy(),
        classes=classes.numpy(),
        objects=np.array([len(boxes)]),
        frames=np.array([image.size]),
        claimed=_cells_by_level(claims.cells, claims.instances, len(boxes), grids),
        kept=_cells_by_level(kept.cells, kept.instances, len(boxes), grids),
        occupied=_count_levels(cells, grids),
        shared=_count_levels(cells[claimants > 1], grids),
    )


def _cells_by_level(cells: Tensor, owners: Tensor, num_objects: int, grids: Grids) -> np.ndarray:
    """Count the cells of each object on each level: (M, L)."""
    places = owners * grids.num_levels + grids.levels_of(cells)
    counts = torch.bincount(places, minlength=num_objects * grids.num_levels)
    return counts.view(num_objects, grids.num_levels).numpy()


def _count_levels(cells: Tensor, grids: Grids) -> np.ndarray:
    return torch.bincount(grids.levels_of(cells), minlength=grids.num_levels).numpy()
