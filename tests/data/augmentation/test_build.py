import pytest

from solo.config import get_cfg
from solo.data.augmentation.build import build_augmentations, build_multi_image, build_visibility

WRONG = {
    "PAD_VALUE": [1, 2],
    "VERTICAL_FLIP_PROB": 1.5,
    "CROP.MIN_KEPT_SHARE": -0.1,
    "JITTER.IMAGE_SIZE": [640],
    "JITTER.SCALE_RANGE": [0, 1],
    "COLOR_JITTER.PROB": 2.0,
    "COLOR_JITTER.BRIGHTNESS": -1.0,
    "COLOR_JITTER.CONTRAST": 1.5,
    "COLOR_JITTER.SATURATION": -0.5,
    "COLOR_JITTER.HUE": 0.6,
    "AFFINE.PROB": -0.5,
    "AFFINE.DEGREES": 190.0,
    "AFFINE.SHEAR": 61.0,
    "AFFINE.TRANSLATE": 1.5,
    "AFFINE.SCALE_RANGE": [0.0, 1.0],
    "MOSAIC.PROB": -1.0,
    "MOSAIC.CUT_RANGE": [0.5, 1.5],
    "MOSAIC.SCALE_RANGE": [1.0, 0.5],
    "COPY_PASTE.PROB": 3.0,
    "COPY_PASTE.MAX_OBJECTS": 0,
    "COPY_PASTE.SAME_IMAGE_PROB": -0.5,
    "COPY_PASTE.SOFT_EDGE": -1,
    "MIXUP.PROB": 1.1,
    "MIXUP.WEIGHT_RANGE": [0.5, 1.5],
    "MIN_VISIBLE_AREA": 0,
    "MIN_VISIBLE_SHARE": 1.2,
    "MULTI_IMAGE_OFF_ITERS": -1,
}


def build(cfg):
    build_augmentations(cfg)
    build_visibility(cfg)
    return build_multi_image(cfg)


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.INPUT.JITTER.ENABLED = True
    cfg.INPUT.CROP.ENABLED = True
    cfg.INPUT.COLOR_JITTER.PROB = 0.5
    return cfg


@pytest.mark.parametrize("key", WRONG)
def test_wrong_values_are_refused_by_name(cfg, key):
    build(cfg)
    cfg.merge_from_list([f"INPUT.{key}", WRONG[key]])
    with pytest.raises(ValueError, match=rf"INPUT\.{key} is .*: give"):
        build(cfg)


@pytest.mark.parametrize(
    "name", ["JITTER.ENABLED", "COLOR_JITTER.PROB", "AFFINE.PROB", "MOSAIC.PROB"]
)
def test_formats_without_three_colors_are_refused(name):
    cfg = get_cfg()
    cfg.INPUT.FORMAT = "L"
    assert build(cfg) is None
    cfg.merge_from_list([f"INPUT.{name}", True if name.startswith("JITTER") else 1.0])
    with pytest.raises(ValueError, match=r"INPUT\.FORMAT is 'L'"):
        build(cfg)


def test_nothing_is_on_by_default():
    cfg = get_cfg()
    names = [type(augmentation).__name__ for augmentation in build_augmentations(cfg)]
    assert names == ["ResizeShortestEdge", "RandomFlip"]
    assert build_multi_image(cfg) is None
    visibility = build_visibility(cfg)
    assert (visibility.min_area, visibility.min_share) == (1, 0)
