"""Sheets of training images: the batches themselves, and the cells that have to find their objects."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.config import CfgNode
from detectron2.data.detection_utils import convert_image_to_rgb
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from torch.nn import functional as F
from tqdm import tqdm

from solo.architectures import check_is_solo
from solo.config.choices import Assignment
from solo.data import build_train_loader, dataset_class_names, resolve_num_classes
from solo.errors import UserError
from solo.modeling.targets import TargetAssigner, Targets
from solo.survey.seen_images import SeenImage, seen_images, take_images
from solo.visualization.gallery import Panel, gallery
from solo.visualization.legend import LegendItem, draw_legend
from solo.visualization.training_images import (
    LevelTargets,
    draw_cells,
    draw_training_image,
    target_legend,
)

_BATCH_COLUMNS = 4
_LEVELS = (
    "columns: levels, from fine grids for small objects to coarse ones for large objects",
    "sizes: sqrt(w * h) in px of the input",
    "gray: padding",
)
_MARGIN = 18
# Of the padding in pictures; the model pads with the mean.
_GRAY = 128


def batch_sheet(cfg: CfgNode, num_images: int, iteration: int) -> np.ndarray:
    """Draw the training images of the batches from an iteration on.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        UserError: The data cannot be trained on, or a number is too small.
    """
    if iteration < 0:
        raise UserError(f"There is no iteration {iteration}: they count from 0.")
    loader = build_train_loader(cfg, start_iteration=iteration)
    names = dataset_class_names(cfg.DATASETS.TRAIN)
    panels: list[Panel] = []
    for number, batch in enumerate(take_images(loader, num_images), iteration):
        for item in batch[: num_images - len(panels)]:
            bgr = _bgr(item, cfg.INPUT.FORMAT)
            picture = draw_training_image(bgr, item["instances"], names, color_by="instance")
            height, width = item["image"].shape[-2:]
            caption = f"iteration {number}, {width} x {height}, {_objects(item)}"
            panels.append(Panel(picture, (_name(item), caption)))
    return gallery(panels, _BATCH_COLUMNS)


def target_sheet(cfg: CfgNode, num_images: int) -> np.ndarray:
    """Draw the first training images beside the positive cells of each level.

    Returns:
        (H, W, 3) uint8, BGR; a row per image.

    Raises:
        UserError: The data cannot be trained on, or a number is too small.
    """
    panels: list[Panel] = []
    images = training_targets(cfg, num_images)
    for found in tqdm(images, total=num_images, desc="targets", unit="image", disable=None):
        panels.extend(_target_row(found, cfg))
    sheet = gallery(panels, 1 + len(cfg.MODEL.SOLO.NUM_GRIDS))
    notes = list(_LEVELS)
    if cfg.MODEL.SOLO.ASSIGNMENT == Assignment.DYNAMIC:
        warmup = cfg.MODEL.SOLO.DYNAMIC.WARMUP_ITERS
        notes.append(f"cells of the first {warmup} iterations; then those that suit an object best")
    items = [*target_legend(), *(LegendItem(None, words) for words in notes)]
    legend = draw_legend(items, sheet.shape[1] - 2 * _MARGIN)
    framed = np.pad(legend, ((_MARGIN, 0), (_MARGIN, _MARGIN), (0, 0)), constant_values=255)
    return np.vstack([framed, sheet])


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

    Raises:
        UserError: The data cannot be trained on, or fewer than one image is asked for.
    """
    check_is_solo(cfg, "What --targets shows, cells that have to find objects,")
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


def _target_row(found: ImageTargets, cfg: CfgNode) -> list[Panel]:
    item, unassigned = found.image.item, found.unassigned
    picture = _padded(_bgr(item, cfg.INPUT.FORMAT), found.image.size)
    truth = _padded_truth(found.image)
    names = dataset_class_names(cfg.DATASETS.TRAIN)
    drawn = draw_training_image(picture, truth, names, color_by="instance", warn_of=unassigned)
    without = f"{len(unassigned)} hatched: not learnt" if unassigned else "all with a cell"
    row = [Panel(drawn, (_name(item), f"{_objects(item)}, {without}"))]
    for level, (low, high) in enumerate(found.assigner.reaches):
        targets = _level_targets(found, level)
        objects, cells = len(set(targets.instances.tolist())), len(set(targets.cells.tolist()))
        captions = (
            f"level {level}: {targets.side} x {targets.side}, {round(low, 1):g} to {round(high, 1):g} px",
            f"{_count(objects, 'object')}, {_count(cells, 'cell')}",
        )
        row.append(Panel(draw_cells(picture, truth, targets, warn_of=unassigned), captions))
    return row


def _level_targets(found: ImageTargets, level: int) -> LevelTargets:
    grids, targets = found.assigner.grids, found.targets
    pairs = grids.levels_of(targets.cells) == level
    return LevelTargets(
        grids.sides[level],
        (targets.cells[pairs] - grids.offsets[level]).numpy(),
        targets.instances[pairs].numpy(),
    )


def _bgr(item: dict[str, Any], image_format: str) -> np.ndarray:
    """Return the image of an item as a picture, (H, W, 3) uint8, BGR."""
    rgb = convert_image_to_rgb(item["image"].permute(1, 2, 0), image_format)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _padded(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = picture.shape[:2]
    canvas = np.full((*size, 3), _GRAY, dtype=np.uint8)
    canvas[:height, :width] = picture
    return canvas


def _padded_truth(image: SeenImage) -> Instances:
    height, width = image.truth.image_size
    padded = Instances(image.size)
    beyond = (0, image.size[1] - width, 0, image.size[0] - height)
    padded.gt_masks = F.pad(image.truth.gt_masks, beyond)
    padded.gt_boxes = Boxes(image.truth.gt_boxes.tensor)
    padded.gt_classes = image.truth.gt_classes
    return padded


def _name(item: dict[str, Any]) -> str:
    return Path(item.get("file_name", "")).name


def _objects(item: dict[str, Any]) -> str:
    return _count(len(item["instances"]), "object")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
