import argparse

import pytest
from compare_reading import compare, write_annotations

from solo.data.formats.coco_document import read_coco


@pytest.mark.parametrize("masks", ["polygons", "run lengths"])
def test_annotations_are_as_they_should_be(tmp_path, masks):
    document = read_coco(write_annotations(tmp_path / "a.json", 30, masks), tmp_path)
    assert document.findings == [] and len(document.class_names) == 80
    objects = [item for record in document.records for item in record["annotations"]]
    assert len(objects) == 30
    assert all(isinstance(item["segmentation"], list) == (masks == "polygons") for item in objects)


def test_both_sides_are_measured():
    rows = compare(argparse.Namespace(annotations=200, repeats=1)).rows
    assert [row.masks for row in rows] == ["polygons", "run lengths"]
    for row in rows:
        assert row.times == pytest.approx(row.seconds / row.their_seconds) and row.times > 0
