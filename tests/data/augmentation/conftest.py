"""Data sets whose pixels say which object they belong to, even where two images are blended."""

from typing import Any

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest

from solo.config import get_cfg
from solo.data.augmentation.multi_image import Images
from solo.data.augmentation.sample import Sample
from solo.structures.region import region_of_mask

# Object k owns one of bits 1, 3, 5 and 7 of one channel. Half of two such values, added, still
# tells both: a bit may have moved down by one, and never reaches the next object's.
IDS = 12


def color_of(category: int) -> list[int]:
    color = [0, 0, 0]
    color[category // 4] = 2 << 2 * (category % 4)
    return color


def shows(image: np.ndarray, category: int) -> np.ndarray:
    """Return where an image (H, W, 3), in the order it was written in, shows an object."""
    return (image[..., category // 4] >> 2 * (category % 4)) & 3 > 0


PURE = (0, 2, 8, 32, 128)
VALID = np.isin(np.arange(256), [*PURE, *((a + b) // 2 for a in PURE for b in PURE)])


def rle(mask: np.ndarray) -> dict[str, Any]:
    return mask_util.encode(np.asfortranarray(mask.astype(np.uint8)))


def paint(path, size, objects, *, number=0) -> dict[str, Any]:
    """Write an image, and return its record.

    Args:
        path: A .png file.
        size: (H, W).
        objects: Of each the category, the box (left, top, right, bottom), whether it is an ellipse,
            and the format of its mask.
        number: Of the image.
    """
    image = np.zeros((*size, 3), np.uint8)
    annotations = []
    for category, (left, top, right, bottom), ellipse, mask_format in objects:
        if ellipse:
            angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            corners = np.stack(
                [
                    (left + right) / 2 + (right - left) / 2 * np.cos(angles),
                    (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angles),
                ],
                axis=1,
            )
        else:
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        polygon = corners.reshape(-1).astype(float).tolist()
        mask = mask_util.decode(mask_util.frPyObjects([polygon], *size))[..., 0].astype(bool)
        image[mask] = color_of(category)
        segmentation = {"polygon": [polygon], "rle": rle(mask), "pixels": mask}[mask_format]
        annotations.append(
            {
                "bbox": [left, top, right, bottom],
                "bbox_mode": 0,
                "category_id": category,
                "segmentation": segmentation,
            }
        )
    cv2.imwrite(str(path), image)
    return {
        "file_name": str(path),
        "image_id": number,
        "height": size[0],
        "width": size[1],
        "annotations": annotations,
    }


def image_of(item, image_format="BGR") -> np.ndarray:
    """Return the image of an item, (H, W, 3), in the order it was written in."""
    image = item["image"].permute(1, 2, 0).numpy()
    return image if image_format == "BGR" else image[..., ::-1]


def assert_consistent(item) -> None:
    """What holds for every training item."""
    image, instances = item["image"], item["instances"]
    assert str(image.dtype) == "torch.uint8"
    assert image.shape[0] == 3
    assert instances.image_size == tuple(image.shape[1:])
    masks = instances.gt_masks.tensor
    assert masks.shape == (len(instances), *image.shape[1:])
    assert masks.flatten(1).any(dim=1).all()
    assert (
        instances.gt_boxes.tensor.tolist()
        == instances.gt_masks.get_bounding_boxes().tensor.tolist()
    )
    assert len(instances.gt_classes) == len(instances)


def assert_masks_show_their_objects(item, image_format="BGR", *, mixed=False) -> None:
    """Compare masks and pixels, both ways, except where resizing by up to 2 blurs the image.

    That is 2 pixels either side of a mask's edge, and pixels, with their neighbours, whose colour is
    none of an object, nor half of two: rims of objects that begin just outside what can be seen.

    Args:
        item: Of training.
        image_format: Its channel order.
        mixed: Whether images are blended: such a rim may then look like something else, so a fault
            must be three pixels wide and high.
    """
    image, instances = image_of(item, image_format), item["instances"]
    masks = instances.gt_masks.tensor.numpy().astype(np.uint8)
    kernel = np.ones((5, 5), np.uint8)
    blurred = (~VALID[image]).any(axis=2).astype(np.uint8)
    edges = cv2.dilate(blurred, np.ones((3, 3), np.uint8)) > 0
    for mask in masks:
        edges |= cv2.dilate(mask, kernel) > cv2.erode(mask, kernel, borderValue=1)
    classes = instances.gt_classes.numpy()
    for category in range(IDS):
        seen = shows(image, category)
        inside = np.zeros(image.shape[:2], bool)
        for mask in masks[classes == category]:
            wrong = ((mask > 0) & ~edges & ~seen).astype(np.uint8)
            if mixed:
                wrong = cv2.erode(wrong, kernel[:3, :3], borderValue=1)
            assert not wrong.any(), f"a mask of {category} lies elsewhere"
            inside |= mask > 0
        # What is left of an object's rim, where the last of its pixels have been cut off.
        body = cv2.erode(seen.astype(np.uint8), kernel, borderValue=1) > 0
        assert inside[body & ~edges].all(), f"pixels of {category} have no mask"


def sample_of(size, value, boxes=(), category=0) -> Sample:
    """Return an image of one value, with rectangles as its objects."""
    image = np.full((*size, 3), value, np.uint8)
    regions = []
    for left, top, right, bottom in boxes:
        mask = np.zeros(size, bool)
        mask[top:bottom, left:right] = True
        regions.append(region_of_mask(mask)._replace(category=category))
    return Sample(image, regions)


def combine(step, first, second) -> Sample:
    """Return what a step makes of two samples."""
    return step(lambda: first, Images({}, lambda record: second, lambda read: read({})))


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.SEED = 3
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.SOLVER.MAX_ITER = 100
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    cfg.INPUT.MIN_SIZE_TRAIN = (32, 40, 48)
    cfg.INPUT.MAX_SIZE_TRAIN = 120
    cfg.INPUT.PAD_VALUE = [0, 0, 0]
    cfg.INPUT.COPY_PASTE.SOFT_EDGE = 0
    cfg.INPUT.MIXUP.WEIGHT_RANGE = [0.5, 0.5]
    return cfg


@pytest.fixture
def painted(tmp_path):
    """Six images with two objects each, in all formats."""
    formats = ["polygon", "rle", "pixels"]
    return [
        paint(
            tmp_path / f"{number}.png",
            (40, 48) if number % 2 else (48, 40),
            [
                (2 * number, (3, 4, 18, 22), True, formats[number % 3]),
                (2 * number + 1, (20, 18, 36, 35), False, formats[(number + 1) % 3]),
            ],
            number=number,
        )
        for number in range(6)
    ]
