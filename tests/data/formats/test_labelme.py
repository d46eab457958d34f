import base64
import io
import json
import logging

import numpy as np
import pytest
from PIL import Image, ImageDraw

from solo.data.formats.labelme import looks_like_labelme, read_labelme
from solo.errors import UserError
from tests.data.annotated import Drawn, mask_of, scenes, write_labelme

SIZE = (60, 80)


@pytest.fixture
def write(tmp_path):
    """Write one file with an image beside it; return its path."""

    def run(*shapes, name="a.json", **fields):
        Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
        content = {"shapes": list(shapes), "imagePath": "a.png", "imageHeight": SIZE[0]}
        (tmp_path / name).write_text(json.dumps({**content, "imageWidth": SIZE[1], **fields}))
        return tmp_path / name

    return run


def shape(kind="polygon", points=((1, 2), (30, 2), (30, 40)), label="cat", **more):
    return {"shape_type": kind, "points": [list(point) for point in points], "label": label, **more}


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def iou(item, expected):
    segmentation = item["segmentation"]
    drawn = Drawn("", segmentation)
    if isinstance(segmentation, dict):
        from pycocotools import mask as coco_mask

        drawn = Drawn("", mask=coco_mask.decode(segmentation).astype(bool))
    mask = mask_of(drawn, expected.shape)
    return (mask & expected).sum() / (mask | expected).sum()


def test_a_polygon_is_passed_on_with_its_place(write, tmp_path):
    document = read_labelme(write(shape(points=((1, "x"), (None, 2), (3, 4)))), tmp_path)
    (item,) = document["annotations"]
    assert item["segmentation"] == [[1, "x", None, 2, 3, 4]], "numbers are judged by the loader"
    assert item["id"] == "a.json: shape 1" and item["image_id"] == "a.png"
    assert document["images"] == [{"id": "a.png", "file_name": "a.png", "height": 60, "width": 80}]


@pytest.mark.parametrize("scale", [1, 10])
def test_circles_and_rectangles_are_what_is_drawn(write, tmp_path, scale):
    height, width = SIZE[0] * scale, SIZE[1] * scale
    grid_y, grid_x = np.mgrid[:height, :width] + 0.5
    circle = (grid_x - 40 * scale) ** 2 + (grid_y - 30 * scale) ** 2 <= (25 * scale) ** 2
    box = np.zeros((height, width), bool)
    box[5 * scale : 50 * scale, 10 * scale : 70 * scale] = True
    shapes = [
        shape("circle", ((40 * scale, 30 * scale), (55 * scale, 50 * scale))),
        shape("rectangle", ((70 * scale, 5 * scale), (10 * scale, 50 * scale))),
    ]
    path = write(*shapes, imageHeight=height, imageWidth=width)
    first, second = read_labelme(path, tmp_path)["annotations"]
    assert iou(first, circle) > 0.98 + 0.01 * (scale > 1) and iou(second, box) == 1


def test_a_mask_lies_where_its_points_say(write, tmp_path):
    pixels = np.zeros((20, 30), bool)
    pixels[2:, 5:] = True
    pixels[8:12, 10:20] = False
    expected = np.zeros(SIZE, bool)
    expected[10:30, 40:70] = pixels
    path = write(shape("mask", ((40, 10), (69, 29)), mask=png(pixels)))
    (item,) = read_labelme(path, tmp_path)["annotations"]
    assert iou(item, expected) == 1
    # ... and is cut off where it leaves the image.
    path = write(shape("mask", ((-5, 50), (24, 69)), mask=png(pixels)))
    (item,) = read_labelme(path, tmp_path)["annotations"]
    expected = np.zeros(SIZE, bool)
    expected[50:60, :25] = pixels[:10, 5:]
    assert iou(item, expected) == 1


def test_shapes_of_a_group_and_label_are_one_object(write, tmp_path):
    pixels = np.ones((10, 10), bool)
    shapes = [
        shape(group_id=3),
        shape("mask", ((50, 40), (59, 49)), mask=png(pixels), group_id=3),
        shape(group_id=3, label="dog"),
        shape(group_id=4),
    ]
    document = read_labelme(write(*shapes), tmp_path)
    assert [item["id"][-1] for item in document["annotations"]] == ["1", "3", "4"]
    expected = mask_of(Drawn("", [[1, 2, 30, 2, 30, 40]]), SIZE)
    expected[40:50, 50:60] = True
    assert iou(document["annotations"][0], expected) == 1


def test_lines_and_points_are_told_and_background_is_none(write, tmp_path, caplog):
    shapes = [shape("line"), shape("point"), shape("point"), shape(label="_background_"), shape()]
    with caplog.at_level(logging.WARNING):
        document = read_labelme(write(*shapes), tmp_path)
    assert len(document["annotations"]) == 1
    assert "left out what has no area: 2 x point, 1 x line" in caplog.text
    assert len(caplog.records) == 1


def test_rectangles_alone_are_told(write, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        read_labelme(write(shape("rectangle", ((1, 1), (9, 9)))), tmp_path)
    assert "all 1 objects are rectangles" in caplog.text


def test_classes_are_sorted_or_listed(write, tmp_path):
    path = write(shape(label="zebra"), shape(label="ant"))
    document = read_labelme(path, tmp_path)
    assert [c["name"] for c in document["categories"]] == ["ant", "zebra"]
    assert [item["category_id"] for item in document["annotations"]] == [2, 1]
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nzebra\nbee\n")
    document = read_labelme(path, tmp_path)
    assert [c["name"] for c in document["categories"]] == ["zebra", "bee"]
    # The loader finds that there is no such category.
    assert [item["category_id"] for item in document["annotations"]] == [1, "ant"]


@pytest.mark.parametrize("written", ["a.png", "..\\photos\\a.png", "/home/me/a.png", "gone.png"])
def test_the_image_is_found(write, tmp_path, written):
    path = write(shape(), imagePath=written)
    assert read_labelme(path, tmp_path)["images"][0]["file_name"] == "a.png"


def test_an_image_inside_the_json_alone_is_told(write, tmp_path, caplog):
    path = write(shape(), imagePath="b.jpg", imageData="aGVsbG8=", name="b.json")
    with caplog.at_level(logging.WARNING):
        assert read_labelme(path, tmp_path)["images"][0]["file_name"] == "b.jpg"
    assert "1 images are inside their json only" in caplog.text


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (shape("blob"), "shape 1: .*its shape_type is 'blob'"),
        ({"label": "cat"}, "shape 1: it lacks 'points'"),
        (5, "shape 1: "),
        (shape(points=()) | {"points": [1, 2, 3]}, "shape 1: .*no list of pairs"),
        (shape("circle", ((1, 2),)), "shape 1: "),
        (shape("mask", ((1, 2),), mask="aGVsbG8="), "shape 1: .*its mask is no picture"),
        (shape("mask", ((1, 2),), mask=None), "shape 1: "),
        (
            shape("mask", ((1, 2),), mask=png(np.ones((70, 5), bool))),
            "shape 1: .*its mask is no picture .*: it has 5x70 pixels",
        ),
    ],
)
def test_what_cannot_be_understood_is_named(write, tmp_path, item, sentence):
    with pytest.raises(UserError, match=rf"a\.json: {sentence}"):
        read_labelme(write(item), tmp_path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match="holds no json file"):
        read_labelme(tmp_path / "x", tmp_path)
    file = tmp_path / "x" / "a.json"
    for text, sentence in (
        ("{", "is no json"),
        ("[" * 100_000, "nested too deeply|is no json"),
        ('{"images": []}', "has no list of shapes"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=sentence):
            read_labelme(tmp_path / "x", tmp_path)
        assert not looks_like_labelme(file)


def test_a_file_is_recognised_whose_image_comes_first(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"imageData": "A" * 2_000_000, "shapes": []}))
    assert looks_like_labelme(file) and looks_like_labelme(tmp_path)


def test_hidden_files_are_no_annotations(tmp_path):
    folder, images = write_labelme(tmp_path, scenes())
    (folder / "._a.json").write_bytes(b"\x00\x05")
    assert len(read_labelme(folder, images)["images"]) == 3


def test_a_drawn_ellipse_is_the_picture_of_a_circle(write, tmp_path):
    picture = Image.new("1", (800, 600))
    ImageDraw.Draw(picture).ellipse((150, 50, 650, 550), fill=1)
    path = write(shape("circle", ((400, 300), (650, 300))), imageHeight=600, imageWidth=800)
    (item,) = read_labelme(path, tmp_path)["annotations"]
    assert iou(item, np.asarray(picture)) > 0.99
