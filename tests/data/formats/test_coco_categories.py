import json

import pytest

from solo.data.formats.coco_categories import read_categories

CATEGORIES = [{"id": 9, "name": "dög"}, {"id": 7, "name": "cat", "skeleton": [[1, 2]]}]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("place", ["first", "last"])
def test_categories_are_read_wherever_they_are(tmp_path, indent, place):
    # They, and what is beside them, are more than is looked at in one go.
    images = [{"id": number, "file_name": f'{number} "categories": ['} for number in range(5000)]
    many = [{"id": 10 + number, "name": f"class {number}"} for number in range(3000)]
    parts = [("images", images), ("categories", CATEGORIES + many)]
    path = tmp_path / "a.json"
    document = dict(parts if place == "last" else reversed(parts))
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=False), encoding="utf-8")
    names = read_categories(path)
    assert list(names.items())[:3] == [(7, "cat"), (9, "dög"), (10, "class 0")]
    assert len(names) == 3002


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"categories": []}',
        '{"categories": {"id": 1}}',
        '{"categories": [{"id": 1, "name": "cat"}',
        '{"categories": [{"id": 1}]}',
        '{"categories": [1]}',
        '{"categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]}',
        '{"info": {"categories": [{"id": 1, "name": "a"}]}, "categories": [{"id": 2, "name": "b"}]}',
    ],
)
def test_whatever_is_not_plain_is_left_to_the_loader(tmp_path, text):
    path = tmp_path / "a.json"
    assert read_categories(path) is None
    path.write_text(text)
    assert read_categories(path) is None
