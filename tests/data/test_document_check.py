"""What a data set has all in all."""

import pytest

from solo.data.document import normalise
from solo.data.document_check import check_document
from solo.data.findings import Effect, Kind
from tests.data.test_checks import SQUARE, clean_document, images  # noqa: F401  (a fixture)


@pytest.fixture
def check(images):  # noqa: F811
    return lambda document: check_document(normalise(document, images), images)


def test_classes_nobody_has(check):
    document = clean_document()
    document["categories"] += [{"id": 0, "name": "pets-pa2k"}, {"id": 30, "name": "cow"}]
    (finding,) = check(document)
    assert finding.kind is Kind.UNUSED_CLASS and not finding.kind.is_error
    assert finding.detail == "2 of 4 classes: pets-pa2k, cow" and finding.count == 2
    document["categories"] += [{"id": 100 + number, "name": f"c{number}"} for number in range(20)]
    assert check(document)[0].detail.endswith(", c7 and 12 more")


def test_crowds_do_not_make_a_class(check):
    document = clean_document()
    document["annotations"][3]["iscrowd"] = 1
    (finding,) = check(document)
    assert finding.kind is Kind.UNUSED_CLASS and "dog" in finding.detail


def test_crowds_only(check):
    document = clean_document()
    for item in document["annotations"]:
        item["iscrowd"] = 1
    (finding,) = check(document)
    assert finding.kind is Kind.ALL_CROWDS and finding.kind.is_error and finding.count == 4


def test_objects_twice(check):
    document = clean_document()
    first, second, crowd, last = document["annotations"]
    document["annotations"] += [
        {**first, "id": 20},
        {**second, "id": 21},
        {**crowd, "id": 22},  # a crowd
        {**first, "id": 23, "category_id": 20},  # of another class
        {**last, "id": 24, "segmentation": [SQUARE, SQUARE]},  # of another mask
        {**first, "id": 20},
    ]
    findings = [one for one in check(document) if one.kind is Kind.DUPLICATE_OBJECT]
    assert [one.annotation_id for one in findings] == [20, 21, 20]
    assert "mask of annotation 5" in findings[0].detail and not findings[0].kind.is_error


@pytest.mark.parametrize(
    ("section", "field", "words"),
    [
        ("annotations", "image_id", "image_id of 4 annotations is written as text, '3', and in im"),
        (
            "images",
            "id",
            "image_id of 4 annotations is written as numbers, 3, and in images as text",
        ),
        ("categories", "id", "category_id of 4 annotations is written as numbers, 7, and in cat"),
    ],
)
def test_ids_that_are_text_here_and_numbers_there(check, section, field, words):
    document = clean_document()
    for entry in document[section]:
        entry[field] = str(entry[field])
    (finding,) = check(document)
    assert finding.kind is Kind.MIXED_IDS and finding.effect is Effect.GUESSED
    assert words in finding.detail and not finding.kind.is_error
