"""What training logs of its targets: a run that finds nothing then tells why."""

from collections.abc import Sequence

import torch
from detectron2.utils.events import get_event_storage

from solo.modeling.targets import TargetAssigner, Targets

# Iterations between two entries, as of the losses.
LOG_PERIOD = 20
# Share of the objects that no cell has to find.
UNASSIGNED = "targets/unassigned_objects"


def log_targets(targets: Sequence[Targets], num_objects: int, assigner: TargetAssigner) -> None:
    """Put counts of a batch's targets into detectron2's event storage, where there is one.

    These are `targets/positives_level0` and so on, positive cells per image;
    `targets/objects_per_image`; and `targets/unassigned_objects`, where the batch has objects.

    Args:
        targets: Of the images.
        num_objects: Of all images together.
        assigner: The rule that made the targets.
    """
    try:
        storage = get_event_storage()
    except AssertionError:  # detectron2's way to say that there is none
        return
    # Together with the losses: the trainer writes them after every so many iterations.
    if (storage.iter + 1) % LOG_PERIOD:
        return
    categories = torch.stack([target.categories for target in targets])
    levels = (categories < assigner.num_classes).split([s * s for s in assigner.grids.sides], dim=1)
    for level, positive in enumerate(levels):
        storage.put_scalar(f"targets/positives_level{level}", positive.sum() / len(targets))
    storage.put_scalar("targets/objects_per_image", num_objects / len(targets))
    if num_objects:
        assigned = sum(target.instances.unique().numel() for target in targets)
        storage.put_scalar(UNASSIGNED, 1 - assigned / num_objects)
