"""The targets of training images, as the model makes them of whole batches."""

from collections.abc import Iterator
from typing import NamedTuple

from detectron2.config import CfgNode
from detectron2.modeling import build_model

from solo.data import build_train_loader, resolve_num_classes
from solo.modeling.targets import TargetAssigner, Targets
from solo.survey.seen_images import SeenImage, seen_images


class ImageTargets(NamedTuple):
    """One training image, and the cells that have to find its objects."""

    image: SeenImage
    targets: Targets
    assigner: TargetAssigner

    @property
    def unassigned(self) -> list[int]:
        """Rows of the objects that no cell has to find."""
        found = set(self.targets.instances.tolist())
        return [row for row in range(len(self.image.truth)) if row not in found]


def training_targets(cfg: CfgNode, num_images: int) -> Iterator[ImageTargets]:
    """Yield the first images of training with their targets.

    Args:
        cfg: The config.
        num_images: How many.

    Raises:
        UserError: The data cannot be trained on, or fewer than one image is asked for.
    """
    # First: mistakes in the data have better messages than a model without classes.
    loader = build_train_loader(cfg)
    cfg = cfg.clone()
    resolve_num_classes(cfg)
    model = build_model(cfg)
    for image in seen_images(loader, model, num_images):
        truth = image.truth
        targets = model.assigner(
            truth.gt_boxes.tensor, truth.gt_classes, truth.gt_masks, image.size
        )
        yield ImageTargets(image, targets, model.assigner)
