"""Every kind of mistake, made one at a time in a data set that is fine."""

import copy
import json

import numpy as np
import pycocotools.mask as mask_util
import pytest
from detectron2.structures import BoxMode
from PIL import Image

from solo.data.checks import check_records
from solo.data.findings import Kind
from solo.data.formats.coco_document import check_coco_json

HEIGHT, WIDTH = 20, 30
SQUARE = [4, 4, 14, 4, 14, 14, 4, 14]


def mask():
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[5:15, 6:26] = 1
    return pixels


def compressed(pixels=None):
    rle = mask_util.encode(np.asfortranarray(mask() if pixels is None else pixels))
    return {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}


def uncompressed():
    flat = mask().ravel(order="F").astype(int)
    borders = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *borders, flat.size]).tolist()}


def clean_document():
    """Polygons, both kinds of RLE, crowds, ids with gaps, sizes as floats, a subfolder."""
    images = [
        {"id": 3, "file_name": "a.png", "height": HEIGHT, "width": WIDTH},
        {"id": 9, "file_name": "sub/b.png", "height": float(HEIGHT), "width": float(WIDTH)},
    ]
    box, square_box = [6, 5, 20, 10], [4, 4, 10, 10]
    annotations = [
        {"image_id": 3, "category_id": 7, "segmentation": [SQUARE], "bbox": square_box},
        {"image_id": 3, "category_id": 7, "segmentation": compressed(), "bbox": box},
        {"image_id": 9, "category_id": 20, "segmentation": uncompressed(), "iscrowd": 1},
        {"image_id": 9, "category_id": 20, "segmentation": [SQUARE]},
    ]
    for number, item in enumerate(annotations, 5):
        item["id"] = number
    categories = [{"id": 7, "name": "cat"}, {"id": 20, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


@pytest.fixture
def images(tmp_path):
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def check(images):
    def run(document, **options):
        path = images / "data.json"
        path.write_text(json.dumps(document))
        return check_coco_json(path, images, **options)

    return run


def test_a_clean_data_set_has_no_findings(check):
    assert check(clean_document(), read_images=True) == []


def test_what_may_be_missing(check):
    document = clean_document()
    for item in document["annotations"]:
        item.pop("id")
        item.pop("bbox", None)
        item.pop("iscrowd", None)
    assert check(document) == []


def change(section, index, **fields):
    def apply(document):
        entry = document[section][index]
        for field, value in fields.items():
            if value is None:
                entry.pop(field)
            else:
                entry[field] = value

    return apply


def append(section, **entry):
    return lambda document: document[section].append(entry)


def annotation(**fields):
    return change("annotations", 0, **fields)


EMPTY = compressed(np.zeros((HEIGHT, WIDTH), np.uint8))
SWAPPED = {"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]}
NO_BOX = [0.0, 0.0, 1.0]
FAR = [40, 4, 50, 4, 50, 14]
MISTAKES = [
    (change("images", 0, file_name="c.png"), Kind.MISSING_IMAGE, "no such file"),
    (change("images", 0, height=40), Kind.WRONG_SIZE, "30x20 pixels, the annotations say 30x40"),
    (change("images", 0, height="tall"), Kind.MISSING_FIELD, "images[0] has the height 'tall'"),
    (change("images", 0, height=20.5), Kind.MISSING_FIELD, "the height 20.5"),
    (change("images", 0, width=None), Kind.MISSING_FIELD, "images[0] has no width"),
    (change("images", 0, id=9), Kind.DUPLICATE_IMAGE_ID, "9 is taken already by a.png"),
    (change("images", 1, file_name="a.png"), Kind.DUPLICATE_FILE_NAME, "'a.png' is taken"),
    (
        append("images", file_name="c.png", height=9, width=9),
        Kind.MISSING_FIELD,
        "images[2] has no id",
    ),
    (append("categories", id=30, name="cat"), Kind.DUPLICATE_CLASS, "'cat' is taken already"),
    (append("categories", id=7, name="cow"), Kind.DUPLICATE_CLASS, "7 is taken already"),
    (change("images", 0, file_name="../a.png"), Kind.OUTSIDE_FOLDER, "out of the image folder"),
    (annotation(iscrowd="maybe"), Kind.MISSING_FIELD, "its iscrowd is 'maybe'"),
    (annotation(image_id=4), Kind.UNKNOWN_IMAGE, "no image has the id 4"),
    (annotation(image_id=None), Kind.MISSING_FIELD, "annotations[0] has no image_id"),
    (annotation(image_id=[3]), Kind.MISSING_FIELD, "the image_id [3]"),
    (annotation(category_id=8), Kind.UNKNOWN_CATEGORY, "no category has the id 8"),
    (annotation(segmentation=None), Kind.BOXES_ONLY, "it has no segmentation"),
    (annotation(segmentation=[]), Kind.BOXES_ONLY, "it has no segmentation"),
    (annotation(segmentation=[[]]), Kind.BROKEN_POLYGON, "0 numbers"),
    (annotation(segmentation=[SQUARE, [1, 2, 3, 4]]), Kind.BROKEN_POLYGON, "4 numbers"),
    (annotation(segmentation=[SQUARE[:7]]), Kind.BROKEN_POLYGON, "7 numbers, which are no pairs"),
    (annotation(segmentation=[[*SQUARE[:7], float("nan")]]), Kind.BROKEN_POLYGON, "not finite"),
    (annotation(segmentation=SQUARE[:5]), Kind.BROKEN_POLYGON, "5 numbers, which are no pairs"),
    (annotation(segmentation=[[*SQUARE[:7], 2**40]]), Kind.BROKEN_POLYGON, "farther out than"),
    (annotation(segmentation=[[[1, 2]]]), Kind.BROKEN_POLYGON, "2 numbers, where six"),
    (annotation(segmentation=[["a", "b"]]), Kind.BROKEN_POLYGON, "no list of numbers"),
    (annotation(segmentation=[[9, 9, 9, 9, 9, 9]]), Kind.EMPTY_MASK, "no pixel"),
    (annotation(segmentation=[FAR]), Kind.OUTSIDE, "its polygon leaves the image by 20 pixels"),
    (annotation(segmentation=EMPTY), Kind.EMPTY_MASK, "no pixel"),
    (annotation(segmentation=SWAPPED), Kind.BROKEN_RLE, "[30, 20], the image's [height, width]"),
    (annotation(segmentation={"counts": "ab"}), Kind.BROKEN_RLE, "does not decode"),
    (annotation(segmentation={**EMPTY, "counts": [5, 5]}), Kind.BROKEN_RLE, "do not add up"),
    (annotation(segmentation={**EMPTY, "counts": [605, -5]}), Kind.BROKEN_RLE, "do not add up"),
    (annotation(segmentation={**EMPTY, "size": [20.5, 30]}), Kind.BROKEN_RLE, "[20.5, 30]"),
    (
        annotation(segmentation={**EMPTY, "counts": "4 6 24 6"}),
        Kind.BROKEN_RLE,
        "starts and lengths",
    ),
    (annotation(segmentation={**EMPTY, "counts": "1"}), Kind.BROKEN_RLE, "do not add up"),
    (annotation(segmentation={**EMPTY, "counts": "o"}), Kind.BROKEN_RLE, "cut off"),
    (annotation(segmentation={**EMPTY, "counts": "\u00e9"}), Kind.BROKEN_RLE, "does not decode"),
    (annotation(segmentation="abc"), Kind.BROKEN_RLE, "neither a list of polygons"),
    (annotation(bbox=NO_BOX), Kind.BROKEN_BOX, "[0.0, 0.0, 1.0]"),
    (annotation(bbox=[4, 4, 0, 10]), Kind.BROKEN_BOX, "the sides 0 and 10"),
    (annotation(bbox=[25, 4, 10, 10]), Kind.OUTSIDE, "its box leaves the image by 5 pixels"),
    (annotation(bbox=[4, 4, 14, 14]), Kind.WRONG_BOX, "x 4 to 18, y 4 to 18, its mask's x 4 to 14"),
]


@pytest.mark.parametrize(("mistake", "kind", "words"), MISTAKES)
def test_every_mistake_is_found(check, mistake, kind, words):
    document = clean_document()
    mistake(document)
    findings = [finding for finding in check(document) if finding.kind is kind]
    assert len(findings) == 1
    assert words in str(findings[0])
    if findings[0].annotation_id is not None:
        assert findings[0].annotation_id == 5
    assert kind.is_error and kind.advice.endswith(".")


def test_compressed_runs_are_those_of_pycocotools(check):
    rng = np.random.default_rng(0)
    document = clean_document()
    item = document["annotations"][2]  # a crowd without a box
    for density in (0.02, 0.5, 0.98):
        pixels = (rng.random((HEIGHT, WIDTH)) < density).astype(np.uint8)
        item["segmentation"] = compressed(pixels)
        assert check(document) == []
        item["segmentation"]["counts"] = item["segmentation"]["counts"][:-1]
        assert [finding.kind for finding in check(document)] == [Kind.BROKEN_RLE]


def test_findings_say_where_they_are(check):
    document = clean_document()
    document["annotations"][3]["segmentation"] = [[1, 2]]
    (finding,) = check(document)
    assert finding.file_name.endswith("b.png") and finding.annotation_id == 8
    assert "b.png, annotation 8: one of its polygons" in str(finding)


def test_every_kind_is_made_here():
    made = {kind for _, kind, _ in MISTAKES}
    others = {
        Kind.FLAT_POLYGON,
        Kind.UNREADABLE_IMAGE,
        Kind.NO_ANNOTATIONS,
        Kind.DUPLICATE_ANNOTATION_ID,
        Kind.RELATIVE,
        Kind.EXIF,
    }
    # ... and those of many together, in test_causes and test_document_check.
    others |= {Kind.ANOTHER_SIZE, Kind.EXCHANGED, Kind.EXCHANGED_SIZE}
    others |= {Kind.ALL_CROWDS, Kind.MIXED_IDS, Kind.DUPLICATE_OBJECT, Kind.UNUSED_CLASS}
    assert set(Kind) - made == others


def test_broken_images(check, images):
    (images / "a.png").write_bytes(b"no image")
    assert [finding.kind for finding in check(clean_document())] == [Kind.UNREADABLE_IMAGE]
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(images / "a.png")
    whole = (images / "a.png").read_bytes()
    (images / "a.png").write_bytes(whole[: len(whole) // 2])
    assert check(clean_document()) == [], "the header is fine"
    (finding,) = check(clean_document(), read_images=True)
    assert finding.kind is Kind.UNREADABLE_IMAGE and finding.file_name.endswith("a.png")


def test_images_without_a_range_are_refused_by_their_headers(check, images):
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(images / "a.tif")
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint16)).save(images / "sub/b.png")
    document = clean_document()
    document["images"][0]["file_name"] = "a.tif"
    (finding,) = check(document)
    assert finding.kind is Kind.UNREADABLE_IMAGE and finding.file_name.endswith("a.tif")
    assert "floating point values: convert" in finding.detail


def test_a_photo_that_lies_on_its_side_has_the_size_that_training_sees(check, images):
    photo = Image.fromarray(np.zeros((WIDTH, HEIGHT, 3), np.uint8))
    exif = photo.getexif()
    exif[274] = 6
    photo.save(images / "c.jpg", exif=exif)
    document = clean_document()
    document["images"][0]["file_name"] = "c.jpg"
    assert check(document) == []


def test_a_photo_that_was_annotated_lying_on_its_side(check, images):
    photo = Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    exif = photo.getexif()
    exif[274] = 6
    photo.save(images / "c.jpg", exif=exif)
    document = clean_document()
    document["images"][0]["file_name"] = "c.jpg"
    (finding,) = check(document)
    assert finding.kind is Kind.EXIF and finding.kind.is_error
    assert "turns it to 20x30 pixels, the annotations say 30x20, as it is stored" in str(finding)
    assert "exiftool -Orientation= FILE" in finding.kind.advice


def test_an_image_without_annotations_is_no_error(check):
    document = clean_document()
    document["annotations"] = document["annotations"][:2]
    document["annotations"][1]["category_id"] = 20
    (finding,) = check(document)
    assert finding.kind is Kind.NO_ANNOTATIONS and not finding.kind.is_error


def test_annotation_ids_may_be_there_twice(check):
    document = clean_document()
    document["annotations"][0]["id"] = 6
    (finding,) = check(document)
    assert finding.kind is Kind.DUPLICATE_ANNOTATION_ID and not finding.kind.is_error
    assert "6 is taken already" in str(finding)


def test_relative_coordinates_are_one_finding(check):
    document = clean_document()
    for item in document["annotations"]:
        item.pop("bbox", None)
        item["segmentation"] = [[0.1, 0.2, 0.9, 0.2, 0.9, 1.0]]
    errors = [finding for finding in check(document) if finding.kind is Kind.RELATIVE]
    assert [str(error) for error in errors] == ["the corners of all 4 polygons lie between 0 and 1"]


def test_boxes_only_is_said_once(check):
    document = clean_document()
    for item in document["annotations"]:
        item.pop("segmentation")
    (finding,) = check(document)
    assert str(finding) == (
        "the data set has boxes only: none of its 3 annotations has a segmentation"
    )


@pytest.mark.parametrize("document", [{}, {"images": [], "categories": []}, {"images": 3}])
def test_documents_without_content(check, document):
    assert {finding.kind for finding in check(document)} == {Kind.MISSING_FIELD}


def test_files_that_are_no_documents(tmp_path):
    (tmp_path / "data.json").write_text("[{}]")
    with pytest.raises(ValueError, match=r"holds a list, not an object.*predictions"):
        check_coco_json(tmp_path / "data.json", tmp_path)
    (tmp_path / "data.json").write_text('{"images": ')
    with pytest.raises(ValueError, match=r"data\.json is no json"):
        check_coco_json(tmp_path / "data.json", tmp_path)


@pytest.fixture
def records(images):
    polygon = {"bbox": [4, 4, 14, 14], "category_id": 1, "segmentation": [SQUARE]}
    pixels = {"bbox": np.array([6, 5, 26, 15]), "category_id": 0, "segmentation": mask()}
    items = [{**item, "bbox_mode": BoxMode.XYXY_ABS} for item in (polygon, pixels)]
    return [
        {
            "file_name": str(images / name),
            "image_id": name,
            "height": HEIGHT,
            "width": WIDTH,
            "annotations": copy.deepcopy(items),
        }
        for name in ("a.png", "sub/b.png")
    ]


def test_records(records):
    assert check_records(records, 2) == []
    records[0]["annotations"][1]["category_id"] = 2
    records[1]["annotations"][0]["bbox"] = [4, 4, 10, 10]  # XYWH
    records[1]["image_id"] = "a.png"
    findings = check_records(records, 2)
    assert [finding.kind for finding in findings] == [
        Kind.DUPLICATE_IMAGE_ID,
        Kind.UNKNOWN_CATEGORY,
        Kind.WRONG_BOX,
    ]
    assert findings[1].annotation_id == 1 and "none of 0 ... 1" in findings[1].detail
    records[1]["file_name"] = records[0]["file_name"]
    assert Kind.DUPLICATE_FILE_NAME in {finding.kind for finding in check_records(records)}


def test_records_with_boxes_of_anything(records):
    for record, box in zip(records, ([1, 2], ["a"] * 4), strict=True):
        record["annotations"][0].update(bbox=box, bbox_mode=BoxMode.XYWH_ABS)
        record["annotations"][1]["bbox"] = [0, 0, 99, 99]
    kinds = [finding.kind for finding in check_records(records)]
    assert kinds.count(Kind.BROKEN_BOX) == 2 and kinds.count(Kind.WRONG_BOX) == 2


def test_records_without_files(records):
    for record in records:
        record["file_name"] = f"missing/{record['image_id']}"
    (finding,) = check_records(records)
    assert finding.kind is Kind.MISSING_IMAGE and finding.file_name == "missing"
    del records[0]["file_name"]
    assert Kind.MISSING_IMAGE in {finding.kind for finding in check_records(records)}


def test_records_may_lack_what_detectron2_does_not_need(records):
    for record in records:
        del record["image_id"], record["height"], record["width"]
    assert check_records(records) == []
    assert [finding.kind for finding in check_records([])] == [Kind.MISSING_FIELD]
