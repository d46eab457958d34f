import cv2
import numpy as np
import pytest
from detectron2.data import transforms as T
from PIL import Image

from solo.data.augmentation.build import build_multi_image
from solo.data.augmentation.geometry import CropOrPad, FastResizeTransform, KeepingCrop
from solo.data.augmentation.multi_image import Images
from solo.data.mapper import SOLODatasetMapper
from solo.structures.region import region_of_mask
from tests.data.augmentation.conftest import image_of, paint


def jittered(cfg, size, scales, pad_value=()):
    cfg.INPUT.JITTER.ENABLED = True
    cfg.INPUT.JITTER.IMAGE_SIZE = list(size)
    cfg.INPUT.JITTER.SCALE_RANGE = list(scales)
    cfg.INPUT.PAD_VALUE = list(pad_value)
    cfg.INPUT.RANDOM_FLIP = "none"
    return SOLODatasetMapper(cfg, True)


@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
@pytest.mark.parametrize("pad_value", [[], [201, 202, 203]])
def test_padding_has_the_pixel_mean_in_the_order_of_the_image(
    cfg, painted, image_format, pad_value
):
    cfg.INPUT.FORMAT = image_format
    cfg.MODEL.PIXEL_MEAN = [200.4, 210.6, 220.0]
    item = jittered(cfg, (50, 90), (1, 1), pad_value)(painted[1])  # 40 x 48, made 50 x 60
    padding = item["image"][:, :, 60:].permute(1, 2, 0).reshape(-1, 3)
    assert (padding.numpy() == (pad_value or [200, 211, 220])).all()
    assert not (item["image"][0, :, :60] == padding[0, 0]).any()


@pytest.mark.parametrize("mosaic", [False, True])
def test_jitter_pads_after_the_colors_change(cfg, painted, mosaic):
    cfg.INPUT.COLOR_JITTER.PROB = 1.0
    cfg.INPUT.MOSAIC.PROB = float(mosaic)
    item = jittered(cfg, (50, 90), (0.3, 0.4), [1, 2, 3])(painted[1])
    assert (item["image"][:, -1, -1].numpy() == [1, 2, 3]).all()


def test_scale_one_shows_the_whole_image(cfg, painted):
    instances = jittered(cfg, (80, 96), (1, 1))(painted[1])["instances"]  # twice 40 x 48
    # Polygon 2 of the fixture: a box (20, 18, 36, 35), doubled.
    assert instances.gt_boxes.tensor[1].tolist() == [40, 36, 72, 70]


def test_larger_scales_crop_at_random(cfg, painted):
    mapper = jittered(cfg, (24, 24), (1.5, 2))
    np.random.seed(0)
    pictures = {mapper(painted[1])["image"].numpy().tobytes() for _ in range(8)}
    assert len(pictures) == 8


def test_vertical_flip(cfg, painted):
    cfg.INPUT.RANDOM_FLIP = "none"
    cfg.INPUT.MIN_SIZE_TRAIN = (40,)
    plain = SOLODatasetMapper(cfg, True)(painted[1])
    cfg.INPUT.VERTICAL_FLIP_PROB = 1.0
    flipped = SOLODatasetMapper(cfg, True)(painted[1])
    assert np.array_equal(flipped["image"], plain["image"].flip(1))
    masks = [item["instances"].gt_masks.tensor.flip(1).numpy() for item in (plain, flipped)]
    assert np.array_equal(masks[0][1], flipped["instances"].gt_masks.tensor[1].numpy())


@pytest.mark.parametrize("size", [(31, 17), (90, 60), (10, 7)])
def test_fast_resize_agrees_with_detectron2s(size):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (60, 40, 3), dtype=np.uint8), (9, 9), 3)
    mask = (image[..., 0] > 128).astype(np.uint8)
    ours = FastResizeTransform(60, 40, *size)
    theirs = T.ResizeTransform(60, 40, *size)
    difference = ours.apply_image(image).astype(int) - theirs.apply_image(image)
    assert np.abs(difference).mean() < 2
    # Nearest neighbours at a tie may differ.
    assert (ours.apply_segmentation(mask) == theirs.apply_segmentation(mask)).mean() > 0.97
    point = np.array([[13.0, 29.0]])
    assert ours.apply_coords(point.copy()).tolist() == theirs.apply_coords(point).tolist()


def test_masks_are_resized_about_the_centres_of_pixels():
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 2:6] = 1
    resized = FastResizeTransform(8, 8, 24, 24).apply_image(mask, interp=Image.NEAREST)
    rows = np.flatnonzero(resized.any(axis=1))
    assert (rows[0], rows[-1]) == (6, 17)


@pytest.mark.parametrize("mask_format", ["polygon", "rle", "pixels"])
def test_padding_does_not_bring_back_what_a_crop_removed(tmp_path, mask_format):
    record = paint(tmp_path / "a.png", (40, 40), [(0, (4, 4, 30, 30), False, mask_format)])
    mapper = SOLODatasetMapper(
        True,
        augmentations=[T.CropTransform(0, 0, 20, 20), CropOrPad((40, 40), (1, 2, 3))],
        image_format="BGR",
        use_instance_mask=True,
    )
    assert mapper(record)["instances"].gt_boxes.tensor.tolist() == [[4, 4, 20, 20]]


def test_kept_crops_keep_an_object():
    image = np.zeros((40, 40, 3), np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[30:40, 30:40] = True
    regions = [region_of_mask(mask)]
    augmentation = KeepingCrop("relative", (0.5, 0.5), 0.5)
    np.random.seed(0)
    crops = [augmentation.get_transform(image, regions) for _ in range(50)]
    applied = [crop for crop in crops if isinstance(crop, T.CropTransform)]
    assert 10 < len(applied) < 50
    for crop in applied:
        assert crop.apply_segmentation(mask).sum() >= 50
    assert len({(crop.x0, crop.y0) for crop in applied}) > 5


@pytest.mark.parametrize("count", [0, 1])
def test_crop_is_left_out_where_nothing_can_be_kept(cfg, tmp_path, count):
    objects = [(0, (2, 2, 38, 38), False, "polygon")][:count]
    record = paint(tmp_path / "a.png", (40, 40), objects)
    cfg.INPUT.CROP.ENABLED = True
    cfg.INPUT.CROP.TYPE = "relative"
    cfg.INPUT.CROP.SIZE = [0.5, 0.5]
    cfg.INPUT.CROP.MIN_KEPT_SHARE = 0.9
    cfg.INPUT.MIN_SIZE_TRAIN = (40,)
    cfg.INPUT.RANDOM_FLIP = "none"
    item = SOLODatasetMapper(cfg, True)(record)
    assert np.array_equal(image_of(item), cv2.imread(record["file_name"]))


@pytest.mark.parametrize("size", [(1, 1), (3, 3000), (65000, 2)])
@pytest.mark.parametrize("kind", ["plain", "mosaic", "relative", "relative_range", "keeping"])
def test_strips_keep_a_pixel_of_their_shorter_side(cfg, tmp_path, size, kind):
    cfg.INPUT.MOSAIC.PROB = float(kind == "mosaic")
    cfg.INPUT.CROP.ENABLED = kind not in ("plain", "mosaic")
    cfg.INPUT.CROP.TYPE = kind if kind.startswith("relative") else "relative"
    cfg.INPUT.CROP.SIZE = [0.1, 0.1]
    cfg.INPUT.CROP.MIN_KEPT_SHARE = 0.5 * (kind == "keeping")
    record = paint(tmp_path / "a.png", size, [(0, (0, 0, *size[::-1]), False, "polygon")])
    mapper = SOLODatasetMapper(cfg, True)
    if multi_image := build_multi_image(cfg):
        sample = multi_image(Images(record, mapper.sample, lambda load: load(record)))
        item = mapper.item(record, sample)
    else:
        item = mapper(record)
    assert all(item["image"].shape)
    assert all(SOLODatasetMapper(cfg, False)(record)["image"].shape)
