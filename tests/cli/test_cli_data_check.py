import json
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.cli.main import main
from tests.data.annotated import (
    scenes,
    write_coco,
    write_cvat,
    write_labelme,
    write_via,
    write_yolo,
)
from tests.data.test_checks import SQUARE, clean_document, images  # noqa: F401  (a fixture)


@pytest.fixture
def arguments(images):  # noqa: F811
    """The data set of test_checks on disk."""

    def write(document):
        (images / "data.json").write_text(json.dumps(document))
        return ["--annotations", str(images / "data.json"), "--images", str(images)]

    return write


def test_clean(arguments, capsys):
    main(["data", "check", *arguments(clean_document())])
    printed = capsys.readouterr().out
    assert printed.endswith("data.json: no errors; all 4 annotations of 2 images are used\n")
    assert printed.count("\n") == 1


def test_a_note_is_no_failure(arguments, capsys):
    document = clean_document()
    document["annotations"] = document["annotations"][:2]
    document["annotations"][1]["category_id"] = 20
    main(["data", "check", *arguments(document)])
    assert "note: image without annotations: 1\n" in capsys.readouterr().out


def test_errors_are_counted_and_listed(arguments, capsys, tmp_path):
    document = clean_document()
    for number in range(10, 18):
        broken = {"id": number, "image_id": 9, "category_id": 7, "segmentation": [SQUARE[:4]]}
        document["annotations"].append(broken)
    report = tmp_path / "report.json"
    assert main(["data", "check", *arguments(document), "--first", "2", "--json", str(report)]) == 1
    text = capsys.readouterr().out
    assert "error: broken polygon: 8\n" in text and "... and 6 more\n" in text
    assert text.count("b.png, annotation") == 2 and "annotation 10: one of its polygons" in text
    assert text.count("b.png, annotation 11: the same\n") == 1
    assert "  Left out. Each polygon" in text and "three corners or more" in text
    assert (
        "data.json: 8 errors; it is refused, since only 4 of 12 annotations can be used\n" in text
    )
    rows = json.loads(report.read_text())
    assert [row["annotation_id"] for row in rows] == list(range(10, 18))
    assert rows[0]["kind"] == "broken polygon" and rows[0]["is_error"]
    assert rows[0]["effect"] == "left_out" and "draw it again" in rows[0]["advice"]


def test_boxes_only_are_refused(arguments, capsys):
    document = clean_document()
    for item in document["annotations"]:
        item.pop("segmentation")
    assert main(["data", "check", *arguments(document)]) == 1
    text = capsys.readouterr().out
    assert "the data set has boxes only" in text and "SOLO learns from masks" in text
    assert text.endswith("; training refuses it as it is\n")


def test_the_worst_comes_first_and_the_folder_is_said_once(arguments, capsys):
    document = clean_document()
    document["annotations"][0]["bbox"] = [4, 4, 14, 14]
    document["annotations"][1]["id"] = 5
    document["annotations"][2]["image_id"] = 99
    document["annotations"][3]["category_id"] = 99
    assert main(["data", "check", *arguments(document)]) == 1
    text = capsys.readouterr().out
    titles = [line.split(": ")[1] for line in text.splitlines() if line.startswith(("err", "note"))]
    assert titles == [
        "unknown category",
        "annotation of an unknown image",
        "box that disagrees with its mask",
        "duplicate annotation id",
    ]
    folder = arguments(document)[3]
    assert text.splitlines()[0].endswith(f"data.json, images in {folder}")
    assert text.count(folder) == 3, "in the first line, and in the name of the file"
    assert "    a.png, annotation 5: the box is" in text
    assert text.endswith("data.json: 3 errors; it is refused as it is\n")


def test_json_is_for_machines(arguments, capsys, tmp_path):
    document = clean_document()
    document["annotations"][0]["segmentation"] = [SQUARE[:4]]
    for target in ("-", str(tmp_path / "found.json"), str(tmp_path / "found.json")):
        assert main(["data", "check", *arguments(document), "--json", target]) == 1
        printed = capsys.readouterr()
        text = printed.out if target == "-" else (tmp_path / "found.json").read_text()
        (row,) = json.loads(text)
        assert row["annotation_id"] == 5 and row["file_name"].endswith("a.png")
        assert "1 error; 3 of 4 annotations are used, 1 left out" in printed.err + printed.out


@pytest.mark.parametrize("more", [[], ["--images", "."], ["--dataset", "digits_val"]])
def test_annotations_are_not_overwritten(arguments, more):
    path = arguments(clean_document())[1]
    with pytest.raises(SystemExit, match=rf"error: .*by --annotations {path}$"):
        main(["data", "check", "--json", path, *more])
    for flag in ("--json", "--fix"):
        with pytest.raises(SystemExit, match="holds the annotations"):
            main(["data", "check", *arguments(clean_document()), flag, path])
    assert len(json.loads(Path(path).read_text())["images"]) == 2


def test_a_mended_copy(arguments, capsys, tmp_path):
    document = clean_document()
    document["annotations"][0]["image_id"] = 99
    document["annotations"][1]["bbox"] = [6, 5, 26, 15]
    out = str(tmp_path / "mended.json")
    assert main(["data", "check", *arguments(document), "--fix", out]) == 1
    printed = capsys.readouterr().out
    assert f"{out} is written:\n    removed, annotation of an unknown image: 5\n" in printed
    assert printed.endswith("mended.json: no errors; all 3 annotations of 2 images are used\n")
    mended = json.loads((tmp_path / "mended.json").read_text())
    assert mended["info"]["mended"] == [
        "removed, annotation of an unknown image: 5",
        "boxes drawn anew around their masks: 6",
    ]
    assert mended["annotations"][0]["bbox"] == [6, 5, 20, 10]
    with pytest.raises(SystemExit, match=r"mended\.json exists"):
        main(["data", "check", *arguments(document), "--fix", out])


def test_a_copy_without_most_annotations_is_not_written(arguments, capsys, tmp_path):
    document = clean_document()
    for item in document["annotations"][:3]:
        item["segmentation"] = [SQUARE[:4]]
    assert (
        main(["data", "check", *arguments(document), "--fix", str(tmp_path / "mended.json")]) == 1
    )
    assert "not written: 3 annotations, most of them, would be" in capsys.readouterr().out
    assert not (tmp_path / "mended.json").exists()


def test_what_needs_no_mending_is_not_written(arguments, capsys, tmp_path):
    main(["data", "check", *arguments(clean_document()), "--fix", str(tmp_path / "mended.json")])
    assert "mended.json is not written" in capsys.readouterr().out
    assert not (tmp_path / "mended.json").exists()


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
    assert main(["data", "check", "--config-file", config, *more[how]]) == 1
    assert "no category has the id 99" in capsys.readouterr().out


def test_records_are_checked_where_there_is_no_json(images, capsys):  # noqa: F811
    record = {"file_name": str(images / "a.png"), "height": 20, "width": 31, "annotations": []}
    DatasetCatalog.register("check_records_test", lambda: [record])
    try:
        assert main(["data", "check", "--dataset", "check_records_test"]) == 1
    finally:
        DatasetCatalog.remove("check_records_test")
        MetadataCatalog.remove("check_records_test")
    assert "30x20 pixels, the annotations say 31x20" in capsys.readouterr().out


def test_only_a_file_is_mended(tmp_path):
    DatasetCatalog.register("check_records_test", lambda: [])
    try:
        with pytest.raises(SystemExit, match="--fix mends one file"):
            main(
                ["data", "check", "--dataset", "check_records_test", "--fix", str(tmp_path / "out")]
            )
    finally:
        DatasetCatalog.remove("check_records_test")
        MetadataCatalog.remove("check_records_test")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Name a data set"),
        (["--annotations", "a.json"], "go together"),
        (["--annotations", "missing.json", "--images", "."], "missing.json"),
        (["--json", "missing.json", "--images", "."], "by --annotations missing.json"),
        (["--dataset", "no_such_set"], "no data set 'no_such_set'"),
        (["--config-file", "missing.yaml"], "does not exist"),
        (["--dataset", "cityscapes_inst_val"], "gtFine_trainvaltest.zip"),
        (["--data", "missing"], "missing"),
        (["--data", "a", "--annotations", "b", "--images", "."], "give one of them"),
        (["--data", "a", "--dataset", "digits_val"], "give one of them"),
        (["--data", "a", "--format", "coco"], "the format of --data is found"),
    ],
)
def test_mistakes_are_one_sentence(arguments, words):
    with pytest.raises(SystemExit, match=words):
        main(["data", "check", *arguments])


@pytest.mark.parametrize("write", [write_labelme, write_via, write_cvat])
def test_annotations_of_any_format(tmp_path, capsys, write):
    tmp_path.joinpath("cats").mkdir()
    path, pictures = write(tmp_path / "cats", scenes())
    main(["data", "check", "--annotations", str(path), "--images", str(pictures)])
    assert ": no errors; all " in capsys.readouterr().out
    name = f"check_{write.__name__}"
    entries = [[name, "auto", str(path), str(pictures)]]
    main(["data", "check", "DATASETS.FILES", repr(entries), "--dataset", name])
    assert f"{name}: no errors; all " in capsys.readouterr().out
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


@pytest.mark.parametrize("write", [write_coco, write_cvat, write_labelme, write_via])
def test_the_parts_of_a_data_set_in_whatever_format(tmp_path, capsys, write):
    paths = []
    for part in ("train", "valid"):
        (tmp_path / "cats" / part).mkdir(parents=True)
        paths.append(write(tmp_path / "cats" / part, scenes(parts=False, holes=False))[0])
    main(["data", "check", "--data", str(tmp_path / "cats")])
    lines = [line for line in capsys.readouterr().out.splitlines() if ": no errors; all " in line]
    assert [line.partition(":")[0] for line in lines] == [str(path) for path in paths]


@pytest.mark.parametrize(("named", "parts"), [("", ["train", "val"]), (":val", ["val"])])
def test_the_splits_of_a_data_yaml(tmp_path, capsys, named, parts):
    for part in ("train", "val"):
        write_yolo(tmp_path / part, scenes(parts=False, holes=False))
        (tmp_path / part / "data.yaml").unlink()
    file = tmp_path / "data.yaml"
    file.write_text("train: train/images\nval: val/images\nnames: [a, b, c]\n")
    main(["data", "check", "--data", f"{file}{named}"])
    lines = [line for line in capsys.readouterr().out.splitlines() if ": no errors; all " in line]
    assert [line.partition(": ")[0] for line in lines] == [f"{file}:{part}" for part in parts]


def test_a_part_that_is_broken(tmp_path, capsys):
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
        path, _ = write_coco(tmp_path / part, scenes())
    document = json.loads(path.read_text())
    document["annotations"][0]["segmentation"] = [SQUARE[:4]]
    path.write_text(json.dumps(document))
    assert main(["data", "check", "--data", str(tmp_path), "--json", str(tmp_path / "out")]) == 1
    (row,) = [row for row in json.loads((tmp_path / "out").read_text()) if row["is_error"]]
    assert row["kind"] == "broken polygon" and row["file_name"].startswith(str(path.parent))
    printed = capsys.readouterr().out
    assert f"{path}: 1 error; " in printed and f"{path.name}: no errors; all" in printed
    with pytest.raises(SystemExit, match="--fix mends one file"):
        main(["data", "check", "--data", str(tmp_path), "--fix", str(tmp_path / "mended.json")])
    assert main(["data", "check", "--data", str(path), "--fix", str(tmp_path / "mended.json")]) == 1
    with pytest.raises(SystemExit, match="holds the annotations"):
        main(["data", "check", "--data", str(path), "--fix", str(path)])


def test_data_of_which_it_is_not_clear_what_is_meant(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_coco(tmp_path / name, scenes())
    with pytest.raises(SystemExit, match=r"\. --annotations A --images D name what is meant\.$"):
        main(["data", "check", "--data", str(tmp_path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=r"elsewhere, --annotations A --images D name what"):
        main(["data", "check", "--data", str(tmp_path / "empty")])
