"""Affine maps of images: pixels, masks of all formats and corners move alike."""

import numpy as np
import pytest

from solo.data.augmentation.affine import Affine, AffineTransform
from solo.data.mapper import SOLODatasetMapper
from tests.data.augmentation.conftest import paint


def mapper(cfg, **keys):
    cfg.INPUT.AFFINE.PROB = 1.0
    for key, value in {"DEGREES": 0.0, "SHEAR": 0.0, "TRANSLATE": 0.0, **keys}.items():
        cfg.INPUT.AFFINE[key] = value
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.RANDOM_FLIP = (40,), "none"
    cfg.INPUT.PAD_VALUE = [1, 2, 3]
    return SOLODatasetMapper(cfg, True)


@pytest.mark.parametrize("mask_format", ["polygon", "rle", "pixels"])
def test_a_scale_is_about_the_middle_and_pads(cfg, tmp_path, mask_format):
    record = paint(tmp_path / "a.png", (40, 60), [(0, (10, 8, 34, 20), False, mask_format)])
    item = mapper(cfg, SCALE_RANGE=[0.5, 0.5])(record)
    assert item["image"].shape == (3, 40, 60)
    assert item["image"][:, 0, 0].tolist() == [1, 2, 3]
    # x' = 30 + (x - 30) / 2, y' = 20 + (y - 20) / 2
    assert item["instances"].gt_boxes.tensor.tolist() == [[20, 14, 32, 20]]


def test_a_quarter_turn(cfg, tmp_path):
    turn = AffineTransform(np.array([[0.0, -1, 40], [1, 0, 0]]), (0, 0, 0))
    image = np.arange(40 * 40 * 3, dtype=np.uint8).reshape(40, 40, 3)
    assert np.array_equal(turn.apply_image(image), np.rot90(image, -1))
    mask = image[..., 0] > 100
    assert np.array_equal(turn.apply_segmentation(mask), np.rot90(mask, -1))
    assert turn.apply_coords(np.array([[0.0, 0.0], [10.0, 5.0]])).tolist() == [[40, 0], [35, 10]]


def test_each_key_moves_something(cfg, tmp_path):
    record = paint(tmp_path / "a.png", (40, 60), [(0, (10, 8, 34, 20), False, "polygon")])
    moves = {"DEGREES": 30.0, "SHEAR": 20.0, "TRANSLATE": 0.2, "SCALE_RANGE": [1.3, 1.4]}
    for key, value in moves.items():
        np.random.seed(1)
        item = mapper(cfg.clone(), **{"SCALE_RANGE": [1.0, 1.0], key: value})(record)
        assert item["instances"].gt_boxes.tensor.tolist() != [[10, 8, 34, 20]], key


def test_draws_stay_within_their_limits():
    affine = Affine(10.0, 0.0, 0.1, (0.5, 2.0), (0, 0, 0))
    image, scales = np.zeros((50, 100, 3), np.uint8), []
    np.random.seed(0)
    for _ in range(200):
        matrix = affine.get_transform(image).matrix
        scales.append(np.sqrt(np.linalg.det(matrix[:, :2])))
        assert abs(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0]))) <= 10
        moved = matrix @ [50, 25, 1] - [50, 25]
        assert (np.abs(moved) <= [10, 5]).all()
    assert 0.5 <= min(scales) < 0.6 and 1.9 < max(scales) <= 2.0


def test_an_object_that_was_moved_out_is_none(cfg, tmp_path):
    record = paint(tmp_path / "a.png", (40, 60), [(0, (0, 0, 6, 6), False, "polygon")])
    assert len(mapper(cfg, SCALE_RANGE=[3.0, 3.0])(record)["instances"]) == 0


def test_a_box_without_a_mask_becomes_the_bounds_of_its_corners(tmp_path):
    record = paint(tmp_path / "a.png", (40, 40), [(0, (10, 8, 34, 20), False, "polygon")])
    record["annotations"][0].pop("segmentation")
    record["annotations"][0]["bbox"] = [10.5, 8.25, 33.5, 20]
    turn = AffineTransform(np.array([[0.0, -1, 40], [1, 0, 0]]), (0, 0, 0))
    mapper = SOLODatasetMapper(True, augmentations=[turn], image_format="BGR", boxes_only=True)
    assert mapper(record)["instances"].gt_boxes.tensor.tolist() == [[20, 10.5, 31.75, 33.5]]
