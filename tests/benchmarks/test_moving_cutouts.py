"""Videos whose objects are known, and detections with faults."""

import json

import cv2
import numpy as np
import pytest
from moving_cutouts import Piece, Scene, compose, read_pieces
from noisy_detections import Noise, detect
from pycocotools import mask as coco_mask

SCENE = Scene(size=(60, 80), num_frames=30, num_objects=4, sides=(16, 24), hidden=1)
EXACT = Noise(edge=0, missed=0, gap=0, wrong_class=0, ghosts=0)


@pytest.fixture(scope="module")
def frames():
    pieces = [
        Piece(np.full((9, 9, 3), 60 * k + 70, np.uint8), np.ones((9, 9), np.uint8), k)
        for k in range(3)
    ]
    return compose(SCENE, pieces, [np.zeros((30, 40, 3), dtype=np.uint8)], seed=1)


def test_masks_are_what_is_in_view(frames):
    for frame in frames:
        assert frame.masks.sum(axis=0).max(initial=0) <= 1  # one object a pixel
        bright = frame.picture.max(axis=2) > 0
        assert (frame.masks.any(axis=0) <= bright).all()
        assert (frame.shares >= 0.15).all() and (frame.shares <= 1).all()
        assert len(frame.ids) == len(frame.masks) == len(frame.categories)
    assert len({len(frame.ids) for frame in frames}) > 1  # some are hidden at times
    category_of = dict(
        np.concatenate([np.stack([f.ids, f.categories], axis=1) for f in frames]).tolist()
    )
    assert all(
        category_of[i] == c for f in frames for i, c in zip(f.ids, f.categories, strict=True)
    )


def test_the_same_video_for_the_same_seed(frames):
    piece = Piece(np.full((9, 9, 3), 200, np.uint8), np.ones((9, 9), np.uint8), 0)
    ground = [np.zeros((30, 40, 3), dtype=np.uint8)]
    one, again, other = (compose(SCENE, [piece], ground, seed)[9].picture for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_detections_without_faults_are_the_truth(frames):
    for frame, found in zip(frames, detect(frames, EXACT, 3, seed=0), strict=True):
        # Less of what is hidden: the order is that of the scores.
        assert (np.diff(found.scores.numpy()) <= 0).all()
        seen = {mask.tobytes() for mask in found.pred_masks.numpy().astype(np.uint8)}
        assert seen == {mask.tobytes() for mask in frame.masks}
        assert sorted(found.pred_classes.tolist()) == sorted(frame.categories.tolist())


def test_each_fault_shows(frames):
    count = sum(len(frame.ids) for frame in frames)
    assert sum(map(len, detect(frames, EXACT._replace(missed=0.5), 3, seed=0))) < 0.7 * count
    assert sum(map(len, detect(frames, EXACT._replace(gap=0.3), 3, seed=0))) < 0.7 * count
    assert sum(map(len, detect(frames, EXACT._replace(ghosts=1), 3, seed=0))) > count + 10


def test_pieces_of_a_data_set(tmp_path):
    picture = np.full((60, 60, 3), 90, dtype=np.uint8)
    masks = np.zeros((2, 60, 60), dtype=np.uint8)
    masks[0, 10:35, 20:42], masks[1, 0:25, 0:25] = 1, 1  # the second is cut off by the edge
    for mask in masks:
        picture[mask > 0] = 250
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    rles = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    annotations = [
        {
            "id": k + 1,
            "image_id": 5,
            "category_id": 7,
            "area": 1,
            "iscrowd": 0,
            "bbox": [0, 0, 1, 1],
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
        }
        for k, rle in enumerate(rles)
    ]
    document = {
        "images": [{"id": 5, "file_name": "a.png", "height": 60, "width": 60}],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    (piece,), backgrounds = read_pieces(tmp_path / "a.json", tmp_path)
    assert piece.mask.shape == (25, 22) and piece.mask.all() and piece.category == 1
    # What was there is painted over. The other covers too much for a background elsewhere.
    assert all(ground.max() < 140 for ground in backgrounds)
