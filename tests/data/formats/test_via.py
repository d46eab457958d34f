import json
import logging

import numpy as np
import pytest

from solo.data.formats.via import looks_like_via, read_via
from solo.errors import UserError
from tests.data.annotated import CLASSES, Drawn, Scene, mask_of, scenes, write_images, write_via

SIZE = (100, 160)
RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}


@pytest.fixture
def write(tmp_path):
    """Write an export of one image, "a.png"; return its path and the folder of the image."""
    images = write_images(tmp_path / "images", [Scene("a.png", SIZE, [])])

    def run(*regions, filename="a.png", wrap=lambda entries: entries):
        entries = {f"{filename}12": {"filename": filename, "size": 12, "regions": list(regions)}}
        path = tmp_path / "via.json"
        path.write_text(json.dumps(wrap(entries)))
        return path, images

    return run


def region(shape=RECT, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def test_shapes_are_what_is_drawn(write):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    circle = {"name": "circle", "cx": 80, "cy": 50, "r": 45.5}
    angle = 0.6
    ellipse = {"name": "ellipse", "cx": 80, "cy": 50, "rx": 60, "ry": 25, "theta": angle}
    along = (x - 80) * np.cos(angle) + (y - 50) * np.sin(angle)
    across = (y - 50) * np.cos(angle) - (x - 80) * np.sin(angle)
    expected = [
        (x > 10) & (x < 40) & (y > 20) & (y < 60),
        (x - 80) ** 2 + (y - 50) ** 2 < 45.5**2,
        (along / 60) ** 2 + (across / 25) ** 2 < 1,
    ]
    path, images = write(region(), region(circle), region(ellipse))
    document = read_via(path, images)
    image = {"id": "a.png", "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}
    assert document["images"] == [image]
    for item, truth in zip(document["annotations"], expected, strict=True):
        mask = mask_of(Drawn("", item["segmentation"]), SIZE)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.98


def test_the_class_is_in_the_attribute_that_most_regions_have(write):
    path, images = write(
        region(kind="dog", number="1", note=""),
        region(kind="cat", number="2"),
        region(kind="cat", number="3", note="small"),
        region(kind="", note="x"),
    )
    document = read_via(path, images)
    assert [c["name"] for c in document["categories"]] == ["cat", "dog"]
    # A region without a class has no category: the loader tells it.
    assert [item["category_id"] for item in document["annotations"]] == [2, 1, 1, None]
    assert document["annotations"][3]["id"] == "a.png: region 3"


def test_checkboxes(write):
    path, images = write(
        region(kind={"dog": True, "cat": False}), region(kind={"dog": True, "cat": True})
    )
    items = read_via(path, images)["annotations"]
    assert [item["category_id"] for item in items] == [1, None]


def test_without_attributes_there_is_one_class(write):
    document = read_via(*write(region(), region()))
    assert document["categories"] == [{"id": 1, "name": "object"}]


def test_options_of_a_project_are_its_classes(tmp_path):
    path, images = write_via(tmp_path, scenes(parts=False, holes=False)[:2])
    assert [c["name"] for c in read_via(path, images)["categories"]] == CLASSES
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    document = read_via(path, images)
    assert [c["name"] for c in document["categories"]] == ["dog", "cat"]
    assert [item["category_id"] for item in document["annotations"]] == [1, 2]


def test_regions_of_version_1_are_numbered(write):
    def wrap(entries):
        for entry in entries.values():
            entry["regions"] = {str(n): item for n, item in enumerate(entry["regions"])}
        return entries

    path, images = write(region(kind="a"), wrap=wrap)
    assert looks_like_via(path)
    assert len(read_via(path, images)["annotations"]) == 1


@pytest.mark.parametrize("name", ["http://x.org/pictures/a.png?raw=1", "C:\\me\\a.png", "/b/a.png"])
def test_the_image_is_found(write, name):
    path, images = write(region(), filename=name)
    assert read_via(path, images)["images"][0]["file_name"] == "a.png"


def test_a_missing_image_has_no_size(write):
    path, images = write(region(), filename="gone.png")
    assert read_via(path, images)["images"] == [{"id": "gone.png", "file_name": "gone.png"}]


def test_lines_and_points_are_told(write, caplog):
    line = {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}
    with caplog.at_level(logging.WARNING):
        document = read_via(
            *write(region(line), region({"name": "point", "cx": 1, "cy": 2}), region())
        )
    assert len(document["annotations"]) == 1
    assert "left out what has no area: 1 x polyline, 1 x point" in caplog.text


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (region({"name": "blob"}), "its shape is 'blob'"),
        (region({"name": "circle", "cx": 1, "cy": 2}), "it lacks 'r'"),
        (region({"name": "polygon", "all_points_x": [1], "all_points_y": []}), "zip"),
        (region({**RECT, "x": None}), "float"),
        ({}, "it lacks 'shape_attributes'"),
        (3, "understood"),
    ],
)
def test_what_cannot_be_understood_is_named(write, item, sentence):
    with pytest.raises(UserError, match=rf"via\.json, a\.png: region 0: .*{sentence}"):
        read_via(*write(item))


@pytest.mark.parametrize(
    "content", [[], {"a": 1}, {"a": {"filename": 3}}, {"_via_img_metadata": []}]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="is none of VIA's"):
        read_via(path, tmp_path)
