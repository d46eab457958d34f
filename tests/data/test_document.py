"""What people write is read as what they mean; what means nothing is told, and left out by all."""

import copy
import json

import numpy as np
import pytest

from solo.data.document import normalise
from solo.data.findings import Effect, Kind
from solo.data.formats.coco_document import read_coco
from solo.data.segmentations import decode_mask
from solo.structures.polygons import draw_polygons
from tests.data.test_checks import HEIGHT, SQUARE, WIDTH, clean_document

PAIRS = [[x, y] for x, y in zip(SQUARE[::2], SQUARE[1::2], strict=True)]


def pixels(mask):
    rle = draw_polygons(mask, (HEIGHT, WIDTH)) if isinstance(mask, list) else mask
    return decode_mask(rle).tolist()


def objects(document):
    """What a model learns, and an evaluation compares with."""
    return [
        (
            record["file_name"],
            record["height"],
            record["width"],
            [
                (item["category_id"], item["iscrowd"], pixels(item["segmentation"]))
                for item in record["annotations"]
            ],
        )
        for record in document.records
    ]


def every(section, **changes):
    def change(document):
        for entry in document[section]:
            for field, value in changes.items():
                entry[field] = value(entry[field]) if callable(value) else value

    return change


def both(*changes):
    def change(document):
        for one in changes:
            one(document)

    return change


def first(**fields):
    return lambda document: document["annotations"][0].update(fields)


READ = {
    "image ids that are text": both(
        every("images", id=lambda n: f"image {n}"),
        every("annotations", image_id=lambda n: f"image {n}"),
    ),
    "text where the images have numbers": every("annotations", image_id=str, category_id=str),
    "numbers where the images have text": both(
        every("images", id=str), every("categories", id=str)
    ),
    "annotation ids of 128 bits": every("annotations", id=lambda n: n << 120),
    "negative annotation ids": every("annotations", id=lambda n: -n),
    "annotation ids that are lists": every("annotations", id=lambda n: [n]),
    "ids with a point": every("images", id=float),
    "names that are numbers": every("categories", name=lambda name: ord(name[0])),
    "sizes that are text": every("images", height=lambda n: str(int(n)), width=str),
    "backslashes": every("images", file_name=lambda name: name.replace("/", "\\")),
    "no boxes": every("annotations", bbox=None),
    "empty boxes": every("annotations", bbox=[]),
    "boxes that are text": first(bbox=["4", "4", "10", "10"]),
    "crowds as text": lambda document: [
        item.update(iscrowd=str(item.get("iscrowd", 0))) for item in document["annotations"]
    ],
    "crowds as truth": lambda document: [
        item.update(iscrowd=bool(item.get("iscrowd", 0))) for item in document["annotations"]
    ],
    "no crowd": first(iscrowd=None),
    "areas that are none": every("annotations", area="large"),
    "polygons as pairs": first(segmentation=PAIRS),
    "polygons as lists of pairs": first(segmentation=[PAIRS]),
    "polygons as points": first(segmentation=[{"x": x, "y": y} for x, y in PAIRS]),
    "one polygon without a list around it": first(segmentation=SQUARE),
    "corners that are text": first(segmentation=[list(map(str, SQUARE))]),
    "a polygon of a point beside": first(segmentation=[SQUARE, [3, 3]]),
    "run lengths that are text": lambda document: document["annotations"][2]["segmentation"].update(
        counts=list(map(str, document["annotations"][2]["segmentation"]["counts"]))
    ),
    "sizes of masks that are text": lambda document: document["annotations"][1][
        "segmentation"
    ].update(size=[str(HEIGHT), str(WIDTH)]),
}


# Wrong nevertheless: the check says so.
TOLD = ("a polygon of a point beside",)


@pytest.mark.parametrize("oddity", READ)
def test_what_can_be_read_is_read(oddity):
    expected = objects(normalise(clean_document(), "images"))
    document = clean_document()
    READ[oddity](document)
    read = normalise(document, "images")
    assert objects(read) == expected
    assert not read.with_effect(Effect.LEFT_OUT) and not read.with_effect(Effect.STOPS)
    assert not any(finding.kind.is_error for finding in read.findings) or oddity in TOLD


def test_ids_of_the_file_come_back():
    document = clean_document()
    READ["image ids that are text"](document)
    READ["annotation ids of 128 bits"](document)
    read = normalise(document, "images")
    assert [record["image_id"] for record in read.records] == ["image 3", "image 9"]
    assert read.records[0]["annotations"][0]["id"] == 5 << 120
    assert read.category_ids == [7, 20] and read.class_names == ["cat", "dog"]


def test_digits_in_text_ids_count_as_numbers():
    names = ["02", "10", "1", "class 9", "class 10"]
    entries = [{"id": name, "name": f"of {name}"} for name in reversed(names)]
    read = normalise({**clean_document(), "categories": entries, "annotations": []}, "images")
    assert read.category_ids == ["1", "02", "10", "class 9", "class 10"]


LEFT_OUT = {
    "a point": ([[3, 3]], Kind.BROKEN_POLYGON),
    "not finite": ([[*SQUARE[:7], float("inf")]], Kind.BROKEN_POLYGON),
    "a number": (5, Kind.BROKEN_RLE),
    "a dict of numbers": ([dict(enumerate(map(str, SQUARE)))], Kind.BROKEN_POLYGON),
    "digits": (["4414414144"], Kind.BROKEN_POLYGON),
    "a list of nothing": ([None], Kind.BROKEN_POLYGON),
    "of another size": ({"size": [9, 9], "counts": [81]}, Kind.BROKEN_RLE),
    "cut off": ({"size": [HEIGHT, WIDTH], "counts": "o"}, Kind.BROKEN_RLE),
    "text of starts": ({"size": [HEIGHT, WIDTH], "counts": "1 3 9 3"}, Kind.BROKEN_RLE),
    "huge counts": ({"size": [HEIGHT, WIDTH], "counts": [2**70]}, Kind.BROKEN_RLE),
    "counts of nothing": ({"size": [HEIGHT, WIDTH], "counts": None}, Kind.BROKEN_RLE),
}


@pytest.mark.parametrize("oddity", LEFT_OUT)
def test_what_means_nothing_is_told_and_left_out(oddity):
    segmentation, kind = LEFT_OUT[oddity]
    document = clean_document()
    document["annotations"][0]["segmentation"] = segmentation
    read = normalise(document, "images")
    (finding,) = read.with_effect(Effect.LEFT_OUT)
    assert finding.kind is kind and finding.annotation_id == 5
    assert finding.file_name == "images/a.png"
    assert [len(record["annotations"]) for record in read.records] == [1, 2]


def test_a_crowd_may_do_without_a_mask():
    document = clean_document()
    del document["annotations"][2]["segmentation"]
    read = normalise(document, "images")
    assert read.findings == [] and "segmentation" not in read.records[1]["annotations"][0]


def test_sizes_are_looked_up_where_the_file_has_none(tmp_path):
    from PIL import Image

    (tmp_path / "sub").mkdir()
    document = clean_document()
    for image in document["images"]:
        del image["height"], image["width"]
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / image["file_name"])
    (tmp_path / "sub" / "b.png").write_bytes(b"none")
    (record,) = (read := normalise(document, tmp_path)).records
    assert (record["height"], record["width"]) == (HEIGHT, WIDTH)
    assert Kind.UNREADABLE_IMAGE in {finding.kind for finding in read.with_effect(Effect.LEFT_OUT)}


@pytest.mark.parametrize("name", ["../a.png", "sub/../../a.png", "/etc/passwd", "..\\a.png"])
def test_a_file_name_leaves_its_folder_only_if_it_may(name):
    document = clean_document()
    document["images"][0]["file_name"] = name
    stopped = normalise(document, "images").with_effect(Effect.STOPS)
    assert [finding.kind for finding in stopped] == [Kind.OUTSIDE_FOLDER]
    assert not normalise(document, "images", leave_folder=True).with_effect(Effect.STOPS)


def test_many_are_read_as_each_alone():
    """A thousand at a time, and none in the company of an odd one."""
    document = clean_document()
    document["annotations"] = [
        {**copy.deepcopy(item), "id": number}
        for number in range(900)
        for item in document["annotations"]
    ]
    expected = objects(normalise(document, "images"))
    document["annotations"][1500]["segmentation"] = [PAIRS]
    document["annotations"][1501]["segmentation"]["size"] = ["20", "30"]
    assert objects(normalise(document, "images")) == expected
    assert np.sum(expected[0][3][0][2]) == 100


def test_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(clean_document()), encoding="utf-8-sig")
    assert read_coco(path, tmp_path).findings == []


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"images": ' + "[" * 5000, "\xff", '{"a": 1' + "0" * 5000 + "}"]
)
def test_no_document_is_a_sentence(tmp_path, text):
    path = tmp_path / "data.json"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=r"data\.json"):
        read_coco(path, tmp_path)
