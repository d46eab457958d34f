import logging
import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from solo.data.formats.cvat import looks_like_cvat, read_cvat
from solo.errors import UserError
from tests.data.annotated import CLASSES, Drawn, holed, mask_of, rows_of, scenes, write_cvat

SIZE = (100, 160)
META = "<meta><project><labels><label><name>cat</name></label><label><name>dog</name></label></labels></project></meta>"


@pytest.fixture
def read(tmp_path):
    def run(shapes, image='name="a.png" width="160" height="100"', meta=META):
        path = tmp_path / "annotations.xml"
        path.write_text(f"<annotations>{meta}<image {image}>{shapes}</image></annotations>")
        return read_cvat(path, tmp_path)

    return run


def iou(item, truth):
    segmentation = item["segmentation"]
    if isinstance(segmentation, dict):
        mask = coco_mask.decode(segmentation).astype(bool)
    else:
        mask = mask_of(Drawn("", segmentation), truth.shape)
    return (mask & truth).sum() / (mask | truth).sum()


def test_shapes_are_what_is_drawn(read):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    angle = np.radians(30)
    along = (x - 80) * np.cos(angle) + (y - 50) * np.sin(angle)
    across = (y - 50) * np.cos(angle) - (x - 80) * np.sin(angle)
    shapes = (
        '<box label="cat" xtl="10" ytl="20" xbr="40" ybr="60"/>'
        '<box label="cat" xtl="40" ytl="30" xbr="120" ybr="70" rotation="30.00"/>'
        '<ellipse label="cat" cx="80" cy="50" rx="60" ry="25" rotation="30"/>'
    )
    expected = [
        (x > 10) & (x < 40) & (y > 20) & (y < 60),
        (np.abs(along) < 40) & (np.abs(across) < 20),
        (along / 60) ** 2 + (across / 25) ** 2 < 1,
    ]
    document = read(shapes)
    image = {"id": "a.png", "file_name": "a.png", "height": 100, "width": 160}
    assert document["images"] == [image]
    for item, truth in zip(document["annotations"], expected, strict=True):
        assert iou(item, truth) > 0.98


@pytest.mark.parametrize("last_run", [True, False])
def test_masks(read, last_run):
    truth = holed(SIZE)
    left, top, (height, width), runs = rows_of(truth)
    runs = runs if last_run or len(runs) % 2 == 0 else runs[:-1]
    where = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    (item,) = read(f'<mask label="dog" rle="{str(runs)[1:-1]}" {where}/>')["annotations"]
    assert iou(item, truth) == 1 and item["category_id"] == 2


def test_shapes_of_a_group_are_one_object(read):
    points = 'points="1,1;20,1;20,30"'
    mask = 'rle="0, 100" left="50" top="60" width="10" height="10"'
    document = read(
        f'<polygon label="cat" {points} group_id="1"/><mask label="cat" {mask} group_id="1"/>'
        f'<polygon label="cat" {points} group_id="0"/><polygon label="cat" {points}/>'
    )
    truth = mask_of(Drawn("", [[1, 1, 20, 1, 20, 30]]), SIZE)
    truth[60:70, 50:60] = True
    assert len(document["annotations"]) == 3 and iou(document["annotations"][0], truth) == 1
    assert document["annotations"][1]["id"] == "a.png: shape 3"


def test_what_has_no_area_is_told(read, caplog):
    skeleton = '<skeleton label="man"><points label="knee" points="1,1"/></skeleton>'
    with caplog.at_level(logging.WARNING):
        document = read(f'<polyline label="cat" points="1,1;2,2"/><tag label="cat"/>{skeleton}')
    assert document["annotations"] == []
    assert "left out what has no area: 1 x polyline, 1 x skeleton" in caplog.text


def test_labels(read):
    joint = "<label><name>knee</name><parent>man</parent></label>"
    meta = META.replace("<labels>", f"<labels>{joint}")
    document = read('<polygon label="bird" points="1,1;2,2;3,1"/>', meta=meta)
    assert [c["name"] for c in document["categories"]] == ["cat", "dog"]
    assert document["annotations"][0]["category_id"] == "bird", "for the loader to tell"
    document = read('<polygon label="bird" points="1,1;2,2;3,1"/>', meta="")
    assert document["categories"] == [{"id": 1, "name": "bird"}]


def test_images_of_a_project_lie_in_the_folders_of_their_subsets(tmp_path, read):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").touch()
    document = read("", image='name="a.png" subset="train" width="160" height="100"')
    assert document["images"][0]["file_name"] == "train/a.png"


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ('<polygon label="cat" points="1,1;2"/>', "shape 1: .*unpack"),
        ('<polygon label="cat" points="1,1;a,b"/>', "shape 1: .*'a'"),
        ('<polygon label="cat"/>', "shape 1: it lacks 'points'"),
        ('<box label="cat" xtl="1"/>', "shape 1: it lacks 'ytl'"),
        ('<mask rle="1,2" left="0" top="0" width="1" height="2"/>', "more than its 1x2 pixels"),
        ('<mask rle="-1,2" left="0" top="0" width="1" height="2"/>', "more than its 1x2 pixels"),
        ('<mask rle="1" left="0" top="0" width="99999" height="99999"/>', "99999x99999 pixels"),
    ],
)
def test_what_cannot_be_understood_is_named(read, shape, sentence):
    with pytest.raises(UserError, match=rf"annotations\.xml, a\.png: {sentence}|{sentence}"):
        read(shape)


def test_broken_files_are_named_with_their_line(tmp_path):
    path, images = write_cvat(tmp_path, scenes())
    text = path.read_text()
    path.write_text(text.replace("</image>", "</imag>", 1))
    with pytest.raises(UserError, match=r"annotations\.xml is no XML: mismatched tag: line \d+"):
        read_cvat(path, images)
    path.write_text('<annotations><track id="0"/></annotations>')
    with pytest.raises(UserError, match="tracks of a video: export it as 'CVAT for images"):
        read_cvat(path, images)
    path.write_text("<html/>")
    with pytest.raises(UserError, match="is no export of CVAT"):
        read_cvat(path, images)
    with pytest.raises(FileNotFoundError):
        read_cvat(tmp_path / "gone.xml", images)


def test_the_folder_of_an_export(tmp_path):
    _, images = write_cvat(tmp_path, scenes())
    assert looks_like_cvat(tmp_path)
    assert [c["name"] for c in read_cvat(tmp_path, images)["categories"]] == CLASSES


BOMB = """<?xml version="1.0"?>
<!DOCTYPE annotations [<!ENTITY a0 "lol">{entities}]>
<annotations><meta>&a9;</meta></annotations>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp037"])
def test_entities_are_refused_before_they_grow(tmp_path, encoding):
    entities = "".join(
        f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10)
    )
    text = BOMB.format(entities=entities).replace('"1.0"', f'"1.0" encoding="{encoding}"')
    path = tmp_path / "annotations.xml"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(UserError, match=r"declares a DOCTYPE|is no export of CVAT"):
        read_cvat(path, tmp_path)


def test_memory_is_that_of_an_image(tmp_path):
    path = tmp_path / "annotations.xml"
    with path.open("w") as file:
        file.write(f"<annotations>{META}")
        for number in range(1000):
            tags = '<tag label="cat" source="manual"></tag>' * 100
            file.write(f'<image name="{number}.png" width="160" height="100">{tags}</image>')
        file.write("</annotations>")
    tracemalloc.start()
    try:
        assert len(read_cvat(path, tmp_path)["images"]) == 1000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5e6, "the whole tree takes 44 MB"
