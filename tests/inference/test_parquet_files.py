"""Files of what was found: in any order, twice, half written, damaged; and tables of images."""

import json
from pathlib import Path

import pytest

from solo.errors import UserError

pyarrow = pytest.importorskip("pyarrow", reason="the extra `ray` is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
parquet_files = pytest.importorskip("solo.inference.parquet_files")

MODEL = {"model": "a.pth", "threshold": 0.5, "class_names": ["ä", "b"], "category_ids": [7, 8]}


def record(score, category=7, mask=True):
    """Return what `Predictor.to_dicts` gives of an object."""
    return {
        "category_id": category,
        "category_name": "ä",
        "score": score,
        "bbox": [0.1, 2.0, 30.33, 12345.67],
        **({"segmentation": {"size": [40, 60], "counts": '1"\\2'}} if mask else {}),
    }


def write(folder, *found, description=MODEL, where="/data"):
    """Write a part, whose paths are relative to a folder."""
    file = folder / parquet_files.name_of_part([each.path for each in found], where)
    parquet_files.write_part(found, file, description, where)
    return file


def read_json(folder):
    return json.loads((folder / "found.json").read_text())


def test_json_has_each_image_once_and_in_order(tmp_path):
    # As a folder is listed: what is in a/ comes before a-b/.
    several = parquet_files.FoundIn("a/b.png", (40, 60), [record(0.9), record(0.12346)])
    write(
        tmp_path,
        parquet_files.FoundIn("a-b/c.png", (40, 60), [record(0.25)]),
        parquet_files.FoundIn("b.png", (40, 60)),
    )
    write(tmp_path, several, parquet_files.FoundIn("c.png", error="c.png: no image"))
    write(tmp_path, several)
    counts = parquet_files.write_coco_json(tmp_path, tmp_path / "found.json")
    assert counts == (4, 3, 1)
    expected = [{"file_name": several.path, **each} for each in several.records]
    expected.append({"file_name": "a-b/c.png", **record(0.25)})
    assert (tmp_path / "found.json").read_text() == json.dumps(expected)
    assert parquet_files.done_in(tmp_path) == {
        "/data/a/b.png": True,
        "/data/a-b/c.png": True,
        "/data/b.png": True,
        "/data/c.png": False,
    }
    assert {
        json.dumps(parquet_files.description_of(part)) for part in parquet_files.parts_of(tmp_path)
    } == {json.dumps(MODEL)}


def test_an_image_is_told_by_its_place_and_not_by_its_name(tmp_path, monkeypatch):
    one = write(tmp_path, parquet_files.FoundIn("a.png", (40, 60), [record(0.5)]), where="/one")
    two = write(tmp_path, parquet_files.FoundIn("a.png", (40, 60), [record(0.25)]), where="/two")
    again = parquet_files.FoundIn("/one/b/../a.png", (40, 60), [record(0.5)])
    assert one != two and write(tmp_path, again, where="/three") == one
    assert parquet_files.done_in(tmp_path) == {"/one/a.png": True, "/two/a.png": True}
    # Those that are asked for, in that order and by that name; of others nothing.
    monkeypatch.chdir("/")
    paths = ["two/a.png", "/one/a.png", "two/b.png"]
    counts = parquet_files.write_coco_json(tmp_path, tmp_path / "found.json", paths)
    assert counts == (2, 2, 0)
    told = [(each["file_name"], each["score"]) for each in read_json(tmp_path)]
    assert told == [("two/a.png", 0.25), ("/one/a.png", 0.5)]


def test_boxes_alone_and_ids_that_are_text(tmp_path):
    found = parquet_files.FoundIn("a.png", (40, 60), [record(0.5, "/m/01", mask=False)])
    file = write(tmp_path, found, description={**MODEL, "category_ids": ["/m/01"]})
    assert parquet.read_table(file)["rle_counts"].to_pylist() == [None]
    parquet_files.write_coco_json(tmp_path, tmp_path / "found.json")
    assert read_json(tmp_path) == [{"file_name": "a.png", **found.records[0]}]


def test_a_file_that_is_being_written_does_not_count(tmp_path):
    part = write(tmp_path, parquet_files.FoundIn("a.png", (40, 60)))
    (tmp_path / f".{part.stem}.0123abcd.partial.parquet").write_bytes(part.read_bytes()[:50])
    (tmp_path / "notes.parquet").write_bytes(b"of others")
    assert parquet_files.done_in(tmp_path) == {"/data/a.png": True}


@pytest.mark.parametrize("content", [b"", b"PAR1", None])
def test_a_damaged_file_is_named(tmp_path, content):
    part = tmp_path / "part-0.parquet"
    if content is None:
        parquet.write_table(pyarrow.table({"other": [1]}), part)
    else:
        part.write_bytes(content)
    for ask in (
        parquet_files.done_in,
        lambda folder: parquet_files.write_coco_json(folder, tmp_path / "found.json"),
    ):
        with pytest.raises(UserError, match=r"part-0.parquet: is damaged, or no result"):
            ask(tmp_path)
    assert not (tmp_path / "found.json").exists()


def test_results_of_whom_is_not_known(tmp_path):
    parquet.write_table(pyarrow.table({"path": ["a.png"]}), tmp_path / "part-0.parquet")
    with pytest.raises(UserError, match="says nothing of a model"):
        parquet_files.description_of(tmp_path / "part-0.parquet")
    with pytest.raises(UserError, match="holds no results"):
        parquet_files.write_coco_json(tmp_path / "elsewhere", tmp_path / "found.json")


def test_tables_of_images(tmp_path):
    paths = ["a, b.png", "007", "NA"]
    parquet.write_table(pyarrow.table({"path": paths, "n": [1, 2, 3]}), tmp_path / "a.parquet")
    (tmp_path / "a.CSV").write_text('n,path\n1,"a, b.png"\n2,007\n3,NA\n')
    for name in ("a.parquet", "a.CSV"):
        assert parquet_files.paths_of_table(tmp_path / name) == paths


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file\na.png\n", "column `path`"),
        ("", "column `path`"),
        ("n,path\n1,a.png\n2,\n", "row 2 has no path of an image"),
    ],
)
def test_tables_of_something_else(tmp_path, text, reason):
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=reason):
        parquet_files.paths_of_table(file)
    parquet.write_table(pyarrow.table({"path": [1]}), Path(tmp_path / "a.parquet"))
    with pytest.raises(UserError, match="row 1 has no path of an image, but 1"):
        parquet_files.paths_of_table(tmp_path / "a.parquet")
