"""Of one mistake made everywhere there is one finding, which says what it is."""

import copy
import json

import numpy as np
import pycocotools.mask as mask_util
import pytest
from PIL import Image

from solo.data.findings import Effect, Kind
from solo.data.formats.coco_document import check_coco_json

HEIGHT, WIDTH, COUNT = 20, 30, 6
LEFT, TOP, RIGHT, BOTTOM = 18, 4, 28, 14


def document():
    """A rectangle in each of six images, near the right side: turned, it lies below the image."""
    polygon = [LEFT, TOP, RIGHT, TOP, RIGHT, BOTTOM, LEFT, BOTTOM]
    size = {"height": HEIGHT, "width": WIDTH}
    numbers = range(1, COUNT + 1)
    return {
        "images": [{"id": number, "file_name": f"{number}.png", **size} for number in numbers],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "segmentation": [polygon],
                "bbox": [LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP],
                "area": 100,
            }
            for number in numbers
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }


def save_images(folder, width=WIDTH, height=HEIGHT):
    for number in range(1, COUNT + 1):
        Image.new("RGB", (width, height)).save(folder / f"{number}.png")


@pytest.fixture
def check(tmp_path):
    save_images(tmp_path)

    def run(document, images=tmp_path):
        path = tmp_path / "data.json"
        path.write_text(json.dumps(document))
        return check_coco_json(path, images)

    return run


def move(document, corners=None, box=None):
    """Change the corners (n, 2) of all polygons, and all boxes."""
    for item in document["annotations"]:
        if corners:
            moved = corners(np.array(item["segmentation"][0], float).reshape(-1, 2))
            item["segmentation"] = [moved.ravel().tolist()]
        if box == "none":
            item.pop("bbox")
        elif box:
            item["bbox"] = np.array(box(*item["bbox"]), float).tolist()
    return document


def run_lengths(document, size, pixels=None):
    """Write all masks as RLE that says it has a size."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8) if pixels is None else pixels
    pixels[TOP:BOTTOM, LEFT:RIGHT] = 1
    counts = mask_util.encode(np.asfortranarray(pixels))["counts"].decode()
    for item in document["annotations"]:
        item["segmentation"] = {"size": list(size), "counts": counts}
    return document


def relative(document):
    return move(document, lambda corners: corners / (WIDTH, HEIGHT))


def turned(document, box=None):
    return move(document, lambda corners: corners[:, ::-1], box)


def turn_box(x, y, width, height):
    return y, x, height, width


def larger(document):
    return move(document, lambda corners: corners * 1.5, lambda *box: np.array(box) * 1.5)


def turned_images(document):
    for image in document["images"]:
        image.update(height=WIDTH, width=HEIGHT)
    return document


CAUSES = {
    "corners between 0 and 1": (relative, Kind.RELATIVE, "all 6 polygons"),
    "x and y exchanged, boxes right": (turned, Kind.EXCHANGED, "6 of 6 polygons leave"),
    "x and y exchanged, boxes too": (
        lambda document: turned(document, turn_box),
        Kind.EXCHANGED,
        "all fit with x and y exchanged",
    ),
    "x and y exchanged, no boxes": (
        lambda document: turned(document, "none"),
        Kind.EXCHANGED,
        "6 of 6",
    ),
    "of a larger image": (larger, Kind.ANOTHER_SIZE, "1.40 times their width and 1.05 times"),
    "sizes of images exchanged": (turned_images, Kind.EXCHANGED_SIZE, "6 image files"),
    "sizes of masks exchanged": (
        lambda document: run_lengths(document, (WIDTH, HEIGHT)),
        Kind.EXCHANGED_SIZE,
        "6 RLE masks",
    ),
    "masks of a larger image": (
        lambda document: run_lengths(document, (40, 60), np.zeros((40, 60), np.uint8)),
        Kind.ANOTHER_SIZE,
        "6 RLE masks are 2 times as wide and 2 times as high",
    ),
    "boxes of corners": (
        lambda document: move(document, box=lambda x, y, w, h: (x, y, x + w, y + h)),
        Kind.WRONG_BOX,
        "6 boxes are corners [x1, y1, x2, y2]",
    ),
    "boxes that begin with y": (
        lambda document: move(document, box=turn_box),
        Kind.WRONG_BOX,
        "[y, x, height, width]",
    ),
    "boxes around their centre": (
        lambda document: move(document, box=lambda x, y, w, h: (x + w / 2, y + h / 2, w, h)),
        Kind.WRONG_BOX,
        "the centre",
    ),
    "boxes between 0 and 1": (
        lambda document: move(document, box=lambda x, y, w, h: (x / 30, y / 20, w / 30, h / 20)),
        Kind.WRONG_BOX,
        "shares of the image",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_one_finding(check, cause):
    change, kind, words = CAUSES[cause]
    assert check(document()) == []
    (finding,) = check(change(document()))
    assert finding.kind is kind and words in finding.detail
    assert finding.count == COUNT and kind.is_error


def test_one_that_is_far_out_is_no_scale(check):
    broken = document()
    broken["annotations"][2]["segmentation"] = [[18, 4, 3e8, 4, 28, 14]]
    findings = check(broken)
    assert [finding.kind for finding in findings] == [Kind.OUTSIDE]
    assert findings[0].annotation_id == 3


def test_boxes_that_are_wrong_in_several_ways_are_listed(check):
    broken = document()
    for number, item in enumerate(broken["annotations"]):
        item["bbox"] = [0, 0, 3 + number, 3]
    assert [finding.kind for finding in check(broken)] == [Kind.WRONG_BOX] * COUNT


def test_files_that_were_resized(check, tmp_path):
    save_images(tmp_path, WIDTH // 2, HEIGHT // 2)
    (finding,) = check(document())
    assert finding.kind is Kind.ANOTHER_SIZE and finding.count == COUNT
    assert "6 image files are 0.5 times as wide and 0.5 times as high" in finding.detail


def test_masks_that_fit_the_file_follow_from_the_size_that_is_said(check):
    broken = document()
    broken["images"][1]["width"] = 20
    (finding,) = check(broken)
    assert finding.kind is Kind.WRONG_SIZE and finding.file_name.endswith("2.png")
    (finding,) = check({**run_lengths(document(), (HEIGHT, WIDTH)), "images": broken["images"]})
    assert finding.kind is Kind.WRONG_SIZE


def test_a_folder_that_is_missing(check, tmp_path):
    (finding,) = check(document(), tmp_path / "photos")
    assert finding.kind is Kind.MISSING_IMAGE and finding.count == COUNT
    assert finding.file_name == str(tmp_path / "photos") and "not exist" in finding.detail
    (tmp_path / "photos").mkdir()
    (finding,) = check(document(), tmp_path / "photos")
    assert "holds none of 6 images, the first of which is 1.png" in finding.detail
    save_images(tmp_path / "photos")
    (tmp_path / "photos" / "1.png").unlink()
    (tmp_path / "photos" / "3.png").unlink()
    assert [one.kind for one in check(document(), tmp_path / "photos")] == [Kind.MISSING_IMAGE] * 2


def test_an_image_whose_annotations_are_left_out_is_not_without(check):
    broken = document()
    broken["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    del broken["annotations"][5]
    kinds = {finding.file_name[-5:]: finding.kind for finding in check(broken)}
    assert kinds == {"1.png": Kind.BROKEN_POLYGON, "6.png": Kind.NO_ANNOTATIONS}


def test_no_annotations_at_all(check):
    (finding,) = check({**document(), "annotations": []})
    assert finding.kind is Kind.NO_ANNOTATIONS and "none of the 6 images" in finding.detail


def test_effects_stay(check):
    (finding,) = check(run_lengths(document(), (WIDTH, HEIGHT)))
    assert finding.effect is Effect.LEFT_OUT
    (finding,) = check(turned_images(copy.deepcopy(document())))
    assert finding.effect is Effect.NONE
