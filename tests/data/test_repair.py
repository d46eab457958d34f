"""What is certain is mended, and the check is content with it; all else stays."""

import copy
import json

import numpy as np
import pytest

from solo.data.document import normalise
from solo.data.document_check import check_document
from solo.data.findings import Kind
from solo.data.repair import list_changes, repair
from tests.data import test_causes
from tests.data.test_causes import COUNT, HEIGHT, WIDTH, save_images
from tests.data.test_checks import SQUARE, clean_document, images  # noqa: F401  (a fixture)
from tests.data.test_document import READ, objects


def mend(document, folder):
    """Return the mended document, its findings, and what was done."""
    before = json.dumps(document)
    raw, changes = repair(document, folder, check_document(normalise(document, folder), folder))
    assert json.dumps(document) == before, "the document given stays"
    raw = json.loads(json.dumps(raw))
    return raw, check_document(normalise(raw, folder), folder), changes


def test_a_clean_document_stays(images):  # noqa: F811
    document = {**clean_document(), "licenses": [{"id": 1}]}
    for image in document["images"]:
        image.update(height=HEIGHT, width=WIDTH)
    assert mend(document, images) == (document, [], {})


@pytest.mark.parametrize("oddity", READ)
def test_what_is_read_is_written_plainly(images, oddity):  # noqa: F811
    document = clean_document()
    for image in document["images"]:
        image.update(height=HEIGHT, width=WIDTH)
    for item in document["annotations"]:
        item["area"] = 7
    READ[oddity](document)
    mended, findings, changes = mend(document, images)
    assert findings == [] and ("areas counted anew" in changes) == (oddity == "areas that are none")
    assert objects(normalise(mended, images)) == objects(normalise(clean_document(), images))
    assert mend(mended, images)[2] == {}, "once is enough"


CAUSES = {
    "corners between 0 and 1": "corners between 0 and 1 multiplied by the size of the image",
    "x and y exchanged, boxes right": "x and y of the corners exchanged",
    "x and y exchanged, boxes too": "x and y of the corners exchanged",
    "x and y exchanged, no boxes": "x and y of the corners exchanged",
    "sizes of masks exchanged": "height and width of masks exchanged",
    "boxes of corners": "boxes drawn anew around their masks",
    "boxes that begin with y": "boxes drawn anew around their masks",
    "boxes around their centre": "boxes drawn anew around their masks",
    "boxes between 0 and 1": "boxes drawn anew around their masks",
}


@pytest.mark.parametrize("cause", CAUSES)
def test_causes_are_mended(tmp_path, cause):
    save_images(tmp_path)
    document = test_causes.CAUSES[cause][0](test_causes.document())
    mended, findings, changes = mend(document, tmp_path)
    assert findings == [] and changes[CAUSES[cause]] == list(range(1, COUNT + 1))
    for item in mended["annotations"]:
        assert item["area"] == 100
        assert item.get("bbox", [18, 4, 10, 10]) == pytest.approx([18, 4, 10, 10], abs=0.01)
    pixels = [masks for *_, masks in objects(normalise(mended, tmp_path))]
    assert pixels == [masks for *_, masks in objects(normalise(test_causes.document(), tmp_path))]


def test_relative_boxes_are_multiplied_too(tmp_path):
    save_images(tmp_path)
    document = test_causes.relative(test_causes.document())
    test_causes.move(document, box=lambda x, y, w, h: (x / 30, y / 20, w / 30, h / 20))
    mended, findings, changes = mend(document, tmp_path)
    assert findings == [] and "boxes drawn anew around their masks" not in changes
    assert mended["annotations"][0]["bbox"] == pytest.approx([18, 4, 10, 10], abs=0.01)


@pytest.mark.parametrize(
    "cause", ["of a larger image", "sizes of images exchanged", "masks of a larger image"]
)
def test_what_is_a_guess_stays(tmp_path, cause):
    save_images(tmp_path)
    document = test_causes.CAUSES[cause][0](test_causes.document())
    mended, findings, _ = mend(document, tmp_path)
    assert len(mended["annotations"]) == COUNT
    assert [one.kind for one in findings] == [test_causes.CAUSES[cause][1]]
    assert mended["annotations"][0]["segmentation"] == document["annotations"][0]["segmentation"]


def test_what_cannot_be_used_is_removed_and_counted(images):  # noqa: F811
    document = clean_document()
    good = document["annotations"][0]
    document["annotations"] += [
        {**good, "id": 20, "image_id": 99},
        {**good, "id": 21, "image_id": None},
        {**good, "id": 22, "segmentation": [SQUARE[:4]]},
        {**good, "id": 23, "segmentation": [[9, 9, 9, 9, 9, 9]]},
        {**good, "id": 24, "segmentation": {"size": [20, 30], "counts": "o"}},
        {**good, "id": 25, "iscrowd": "maybe"},
        "nothing",
    ]
    mended, findings, changes = mend(document, images)
    assert [item["id"] for item in mended["annotations"]] == [5, 6, 7, 8]
    assert not any(finding.kind.is_error for finding in findings)
    assert list_changes({k: v for k, v in changes.items() if k.startswith("removed")}) == [
        "removed, annotation of an unknown image: 20",
        "removed, missing field: 21, 25, 10",
        "removed, broken polygon: 22",
        "removed, empty mask: 23",
        "removed, broken RLE: 24",
    ]


def test_single_values_are_mended(images):  # noqa: F811
    document = clean_document()
    first, second, crowd, last = document["annotations"]
    first.update(bbox=[0, 0, -1, 5], area="many", id=7)
    second.update(bbox=[25, 4, 10, 10], id=[1])
    crowd.update(bbox="none", segmentation=None, area=-1)
    last.update(category_id="20", bbox=None)
    mended, findings, changes = mend(document, images)
    assert [one.kind for one in findings] == []
    first, second, crowd, last = mended["annotations"]
    assert first["bbox"] == last["bbox"] == [4, 4, 10, 10] and first["area"] == 100
    assert second["bbox"] == [6, 5, 20, 10] and "bbox" not in crowd and "area" not in crowd
    assert [item["id"] for item in mended["annotations"]] == [7, 9, 10, 8]
    assert last["category_id"] == 20 and changes["annotations numbered anew"] == [[1], 7]


def test_images_in_doubt_keep_their_masks(images):  # noqa: F811
    document = clean_document()
    document["images"][0].update(height=WIDTH, width=HEIGHT)  # a.png is said to stand upright
    mended, _, changes = mend(document, images)
    assert [item["id"] for item in mended["annotations"]] == [5, 6, 7, 8]
    assert not any(what.startswith("removed") for what in changes)
    document = clean_document()
    document["images"].append({**document["images"][1], "height": 10})
    document["images"][2]["file_name"] = "a.png"
    assert len(mend(document, images)[0]["annotations"]) == 4
    document = clean_document()
    document["annotations"][0].update(category_id=99)
    mended, findings, _ = mend(document, images)
    assert Kind.UNKNOWN_CATEGORY in {finding.kind for finding in findings}
    assert mended["annotations"][0] == document["annotations"][0]


def test_the_list_of_changes_is_short():
    assert list_changes({"removed": list(range(1234)), "drawn anew": ["a"]}) == [
        "removed: 0, 1, 2, 3, 4 and 1,229 more",
        "drawn anew: a",
    ]


@pytest.mark.parametrize("raw", [{}, {"images": 3}, {"annotations": {}, "images": [5, {}]}])
def test_documents_without_content(tmp_path, raw):
    assert repair(copy.deepcopy(raw), tmp_path, []) == (raw, {})


def test_corners_are_rounded_finer_than_anybody_draws(tmp_path):
    save_images(tmp_path)
    document = test_causes.relative(test_causes.document())
    polygon = np.array(mend(document, tmp_path)[0]["annotations"][0]["segmentation"][0])
    assert np.abs(polygon[:4] - [18, 4, 28, 4]).max() < 1e-3
