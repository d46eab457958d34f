import json

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.tools import check_dataset
from tests.data.test_checks import SQUARE, clean_document, images  # noqa: F401  (a fixture)


@pytest.fixture
def arguments(images):  # noqa: F811
    """The data set of test_checks on disk."""

    def write(document):
        (images / "data.json").write_text(json.dumps(document))
        return ["--json", str(images / "data.json"), "--images", str(images)]

    return write


def test_clean(arguments, capsys):
    check_dataset.main(arguments(clean_document()))
    assert capsys.readouterr().out.endswith("data.json: no errors\n")


def test_a_note_is_no_failure(arguments, capsys):
    document = clean_document()
    document["annotations"] = document["annotations"][:2]
    check_dataset.main(arguments(document))
    assert "note: image without annotations: 1\n" in capsys.readouterr().out


def test_errors_are_counted_and_listed(arguments, capsys, tmp_path):
    document = clean_document()
    for number in range(10, 18):
        broken = {"id": number, "image_id": 9, "category_id": 7, "segmentation": [SQUARE[:4]]}
        document["annotations"].append(broken)
    report = tmp_path / "report.json"
    with pytest.raises(SystemExit) as stopped:
        check_dataset.main([*arguments(document), "--first", "2", "--json-report", str(report)])
    assert stopped.value.code == 1
    text = capsys.readouterr().out
    assert "error: broken polygon: 8\n" in text and "... and 6 more\n" in text
    assert text.count("b.png, annotation") == 2 and "annotation 10: one of its polygons" in text
    assert "three corners or more" in text and "data.json: 8 errors\n" in text
    rows = json.loads(report.read_text())
    assert [row["annotation_id"] for row in rows] == list(range(10, 18))
    assert rows[0]["kind"] == "broken polygon" and rows[0]["is_error"]


def test_boxes_only_are_refused(arguments, capsys):
    document = clean_document()
    for item in document["annotations"]:
        item.pop("segmentation")
    with pytest.raises(SystemExit):
        check_dataset.main(arguments(document))
    text = capsys.readouterr().out
    assert "the data set has boxes only" in text and "SOLO learns from masks" in text


@pytest.fixture
def config(arguments, tmp_path):
    """A config whose data set is broken in a way that stops its loader."""
    document = clean_document()
    document["annotations"][0]["category_id"] = 99
    _, json_file, _, folder = arguments(document)
    path = tmp_path / "c.yaml"
    entries = [["check_dataset_test", json_file, folder]]
    path.write_text(json.dumps({"VERSION": 2, "DATASETS": {"COCO_JSON": entries}}))
    yield str(path)
    DatasetCatalog.remove("check_dataset_test")
    MetadataCatalog.remove("check_dataset_test")


@pytest.mark.parametrize("how", ["config", "name"])
def test_a_data_set_of_a_config(config, how, capsys):
    more = {
        "config": ["DATASETS.TRAIN", "('check_dataset_test',)"],
        "name": ["--dataset", "check_dataset_test"],
    }
    with pytest.raises(SystemExit) as stopped:
        check_dataset.main(["--config-file", config, *more[how]])
    assert stopped.value.code == 1
    assert "no category has the id 99" in capsys.readouterr().out


def test_records_are_checked_where_there_is_no_json(images, capsys):  # noqa: F811
    record = {"file_name": str(images / "a.png"), "height": 20, "width": 31, "annotations": []}
    DatasetCatalog.register("check_records_test", lambda: [record])
    try:
        with pytest.raises(SystemExit):
            check_dataset.main(["--dataset", "check_records_test"])
    finally:
        DatasetCatalog.remove("check_records_test")
        MetadataCatalog.remove("check_records_test")
    assert "30x20 pixels, the annotations say 31x20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Name a data set"),
        (["--json", "a.json"], "go together"),
        (["--json", "missing.json", "--images", "."], "missing.json"),
        (["--dataset", "no_such_set"], "no data set 'no_such_set'"),
        (["--config-file", "missing.yaml"], "does not exist"),
        (["--dataset", "cityscapes_inst_val"], "gtFine_trainvaltest.zip"),
    ],
)
def test_mistakes_are_one_sentence(arguments, words):
    with pytest.raises(SystemExit, match=words):
        check_dataset.main(arguments)
