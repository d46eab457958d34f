import copy
from pathlib import Path

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.data import transforms as T
from detectron2.structures import BitMasks

from solo.data.mapper import SOLODatasetMapper
from solo.errors import UserError
from solo.images import UnreadableImageError


def mapper_of(*augmentations, is_train=True):
    return SOLODatasetMapper(
        is_train,
        augmentations=list(augmentations),
        image_format="RGB",
        use_instance_mask=True,
        instance_mask_format="bitmask",
    )


def uncompressed_rle(mask):
    """COCO's runs, counted by hand down the columns; they start with zeros."""
    counts, value, run = [], 0, 0
    for pixel in mask.T.reshape(-1):
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return {"size": list(mask.shape), "counts": [*counts, run]}


def formats(mask, polygon):
    rle = mask_util.encode(np.asfortranarray(mask))
    return {
        "polygon": [polygon],
        "compressed bytes": rle,
        "compressed text": {"size": rle["size"], "counts": rle["counts"].decode()},
        "uncompressed": uncompressed_rle(mask),
        "pixels": mask,
        "bool pixels": mask.astype(bool),
    }


@pytest.mark.parametrize(
    "augmentation",
    [T.NoOpTransform(), T.HFlipTransform(16), T.ResizeTransform(24, 16, 48, 32)],
    ids=["none", "flip", "double size"],
)
def test_all_formats_give_the_same_masks_and_tight_boxes(records, augmentation):
    record = records[1]
    mask = np.zeros((24, 16), np.uint8)
    mask[3:12, 2:10] = 1
    expected = augmentation.apply_segmentation(mask).astype(bool)
    ys, xs = np.nonzero(expected)
    for name, segmentation in formats(mask, record["annotations"][0]["segmentation"][0]).items():
        item = copy.deepcopy(record)
        item["annotations"][0]["segmentation"] = segmentation
        instances = mapper_of(augmentation)(item)["instances"]
        assert isinstance(instances.gt_masks, BitMasks), name
        assert np.array_equal(instances.gt_masks.tensor[0].numpy(), expected), name
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert instances.gt_boxes.tensor.tolist() == [box], name


def test_formats_may_be_mixed_and_mask_format_has_no_say(cfg, records):
    record = records[1]
    mask = np.zeros((24, 16), np.uint8)
    mask[3:12, 2:10] = 1
    record["annotations"] = [
        {**record["annotations"][0], "segmentation": segmentation}
        for segmentation in formats(mask, [2, 3, 10, 3, 10, 12, 2, 12]).values()
    ]
    cfg.INPUT.MASK_FORMAT = "polygon"
    cfg.INPUT.RANDOM_FLIP = "none"
    cfg.INPUT.MIN_SIZE_TRAIN = (16,)
    instances = SOLODatasetMapper(cfg, True)(record)["instances"]
    assert instances.gt_masks.tensor.shape == (6, 24, 16)
    assert (instances.gt_masks.tensor == torch.from_numpy(mask).bool()).all()


def test_objects_that_a_crop_removes_are_dropped(records):
    record = records[1]
    corner = {**record["annotations"][0], "category_id": 5}
    corner["segmentation"] = [[12, 20, 15, 20, 15, 23, 12, 23]]
    # A record's box may be wrong: only masks decide.
    corner["bbox"] = [0, 0, 16, 24]
    record["annotations"].append(corner)
    instances = mapper_of(T.CropTransform(0, 0, 8, 8))(record)["instances"]
    assert instances.gt_classes.tolist() == [record["annotations"][0]["category_id"]]
    assert instances.gt_boxes.tensor.tolist() == [[2, 3, 8, 8]]


def test_polygons_beyond_the_image_are_cut_off(records):
    records[1]["annotations"][0]["segmentation"] = [[-50, -50, 4, -50, 4, 5, -50, 5]]
    instances = mapper_of()(records[1])["instances"]
    expected = torch.zeros(24, 16, dtype=torch.bool)
    expected[:5, :4] = True
    assert torch.equal(instances.gt_masks.tensor[0], expected)


@pytest.mark.parametrize("crowd", [False, True])
def test_images_without_objects_have_empty_instances(records, crowd):
    record = records[1]
    record["annotations"] = [{**record["annotations"][0], "iscrowd": 1}] if crowd else []
    instances = mapper_of()(record)["instances"]
    assert instances.gt_masks.tensor.shape == (0, 24, 16)
    assert instances.gt_boxes.tensor.shape == (0, 4)
    assert instances.gt_classes.shape == (0,)
    assert instances.gt_classes.dtype == torch.int64


def test_record_stays_as_it_is(records):
    before = copy.deepcopy(records[1])
    mapper_of(T.HFlipTransform(16))(records[1])
    assert records[1] == before


def test_test_items_have_no_annotations(cfg, records):
    item = SOLODatasetMapper(cfg, False)(records[1])
    assert "annotations" not in item
    assert "instances" not in item
    assert item["image_id"] == 1


@pytest.mark.parametrize("is_train", [True, False])
def test_test_and_training_items_see_16_bits(records, is_train):
    gray = cv2.imread(records[1]["file_name"], cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(records[1]["file_name"], gray.astype(np.uint16) * 256 + 100)
    mapper = mapper_of(is_train=is_train)
    expected = torch.as_tensor(gray).expand(3, -1, -1)
    assert torch.equal(mapper(records[1])["image"], expected)
    sample = mapper.sample(records[1], fit=gray.shape)
    assert np.array_equal(sample.image, expected.permute(1, 2, 0))


@pytest.mark.parametrize("is_train", [True, False])
@pytest.mark.parametrize("content", [None, b"", b"not an image", "half"])
def test_unreadable_image_is_named(records, content, is_train):
    path = Path(records[1]["file_name"])
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:200] if content == "half" else content)
    with pytest.raises(UnreadableImageError, match=path.name):
        mapper_of(is_train=is_train)(records[1])


@pytest.mark.parametrize("is_train", [True, False])
def test_floating_point_image_is_refused(records, is_train):
    path = Path(records[1]["file_name"]).with_suffix(".tif")
    cv2.imwrite(str(path), np.ones((24, 16), np.float32))
    with pytest.raises(UnreadableImageError, match=rf"{path.name}.*convert it to 8 bits"):
        mapper_of(is_train=is_train)({**records[1], "file_name": str(path)})


def test_an_image_of_too_many_pixels_is_named(cfg, records):
    cfg.INPUT.MAX_PIXELS = 24 * 16 - 1
    mapper = SOLODatasetMapper(cfg, True)
    readers = (mapper, SOLODatasetMapper(cfg, False), lambda record: mapper.sample(record, (9, 9)))
    for read in readers:
        with pytest.raises(UnreadableImageError, match=r"1\.png.* INPUT\.MAX_PIXELS, 383.*Restore"):
            read(records[1])


def test_wrong_size_is_named(records):
    records[1]["width"] = 99
    with pytest.raises(ValueError, match=r"1\.png.*99") as caught:
        mapper_of()(records[1])
    assert not isinstance(caught.value, UnreadableImageError)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ("absent", "box alone"),
        ([1, 2, 3, 4, 5], "at least three x, y pairs"),
        ([[1, 2, 3, 4]], "at least three x, y pairs"),
        ([[1, 2, 3, 4, float("nan"), 6]], "at least three x, y pairs"),
        ([["a"] * 6], "at least three x, y pairs"),
        ({"counts": "abc"}, "neither a list of polygons"),
        ({"size": [24, 16], "counts": [3, 4]}, "do not add up"),
        ({"size": [24, 16], "counts": "1"}, "do not add up"),
        ({"size": [24, 16], "counts": b"Pb"}, "cut off"),
        ({"size": [2, 2], "counts": [1, 3]}, "2x2 pixels"),
        (np.zeros((1, 24, 16)), "two dimensions"),
        ("text", "neither a list of polygons"),
    ],
)
def test_broken_annotation_is_named(records, segmentation, reason):
    annotation = records[1]["annotations"][0]
    annotation["segmentation"] = segmentation
    if isinstance(segmentation, str) and segmentation == "absent":
        del annotation["segmentation"]
    with pytest.raises(ValueError, match=reason) as caught:
        mapper_of()(records[1])
    assert "1.png" in str(caught.value)


def boxes_of(record, *augmentations):
    """The boxes and classes of an item of a mapper for a model that needs no masks."""
    mapper = SOLODatasetMapper(
        True, augmentations=list(augmentations), image_format="RGB", boxes_only=True
    )
    instances = mapper(record)["instances"]
    assert not instances.has("gt_masks")
    return instances.gt_boxes.tensor, instances.gt_classes.tolist()


@pytest.fixture
def boxed(records):
    """An image of 24 x 16 with one small box, to a fraction of a pixel, and no mask."""
    box = {"bbox": [2.3, 3.6, 1.5, 1.2], "bbox_mode": 1, "category_id": 1}
    return {**records[1], "annotations": [box]}


@pytest.mark.parametrize(
    ("augmentations", "expected"),
    [
        ([], [[2.3, 3.6, 3.8, 4.8]]),
        ([T.HFlipTransform(16)], [[12.2, 3.6, 13.7, 4.8]]),
        ([T.ResizeTransform(24, 16, 60, 40)], [[5.75, 9.0, 9.5, 12.0]]),
        ([T.RotationTransform(24, 16, 90, expand=True)], [[3.6, 12.2, 4.8, 13.7]]),
        ([T.CropTransform(3, 0, 9, 20), T.ResizeTransform(20, 9, 40, 9)], [[0, 7.2, 0.8, 9.6]]),
        # What a crop removed, a pad does not bring back.
        ([T.CropTransform(0, 4, 9, 9), T.PadTransform(0, 4, 9, 0)], [[2.3, 4, 3.8, 4.8]]),
        ([T.CropTransform(3, 4, 9, 9)], []),  # less than the area of a pixel is left
    ],
    ids=["none", "flip", "enlarged", "turned", "crop", "crop and pad", "corner"],
)
def test_boxes_without_masks_move_to_a_fraction_of_a_pixel(boxed, augmentations, expected):
    boxes, classes = boxes_of(boxed, *augmentations)
    assert classes == [1] * len(expected)
    assert torch.allclose(boxes, torch.tensor(expected).reshape(-1, 4), atol=1e-4)


def test_a_box_is_taken_before_a_mask_and_a_mask_where_there_is_no_box(records):
    (item,) = records[1]["annotations"]
    record = {**records[1], "annotations": [{**item, "bbox": [2.25, 3.5, 7, 8], "bbox_mode": 1}]}
    assert boxes_of(record)[0].tolist() == [[2.25, 3.5, 9.25, 11.5]]
    record["annotations"] = [{**item, "bbox": None}]
    assert boxes_of(record)[0].tolist() == [[2, 3, 10, 12]]
    record["annotations"] = [{"category_id": 0}]
    with pytest.raises(UserError, match="neither a box with an area nor a segmentation"):
        boxes_of(record)
