"""A data set is loaded once a process, and nobody can spoil what others get."""

import json
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, get_detection_dataset_dicts

from solo.data import build_test_loader, build_train_loader, load_records
from solo.data.catalog import default_root


@pytest.fixture
def counted(register, records):
    """A registered data set, and a list that grows by one each time it is loaded."""
    loads: list[int] = []
    name = register([], thing_classes=["cat", "dog"])
    DatasetCatalog[name] = lambda: loads.append(1) or records
    return name, loads


def test_records_are_loaded_once_and_cannot_be_spoiled(counted, cfg):
    name, loads = counted
    for get in (load_records, load_records, DatasetCatalog.get):
        found = get(name)
        assert len(found) == 10 and len(found[0]["annotations"]) == 1
        found.pop()
        found[0]["annotations"].clear()
    for _ in range(2):
        assert len(build_test_loader(cfg, name).dataset) == 10
    assert len(loads) == 1


def test_a_data_set_that_is_registered_anew_is_loaded_anew(counted):
    name, _ = counted
    load_records(name)
    DatasetCatalog.remove(name)
    DatasetCatalog.register(name, lambda: [{"image_id": 2}])
    assert load_records(name) == [{"image_id": 2}]


def test_training_takes_what_is_kept_and_leaves_nothing_behind(counted, cfg):
    name, loads = counted
    cfg.DATASETS.TRAIN = (name,)
    load_records(name)
    build_train_loader(cfg)
    assert len(loads) == 1
    # The loader has them; a second copy would be a waste of memory.
    get_detection_dataset_dicts(name)
    assert len(loads) == 2


def test_what_is_tested_on_is_kept_for_the_test(counted, cfg):
    name, loads = counted
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = (name,)
    build_train_loader(cfg)
    build_test_loader(cfg, name)
    assert len(loads) == 1


def test_an_annotation_file_that_has_changed_is_read_again(tmp_path: Path, register):
    path = tmp_path / "a.json"
    name = register([], json_file=str(path))
    DatasetCatalog[name] = lambda: json.loads(path.read_text())
    for content in ([{"height": 1}], [{"height": 1}, {"height": 2}]):
        path.write_text(json.dumps(content))
        assert load_records(name) == content


@pytest.mark.parametrize(
    ("solo", "other", "expected"), [("a", "b", "a"), ("", "b", "b"), ("", "", "datasets")]
)
def test_the_first_variable_that_is_set_names_the_folder(monkeypatch, solo, other, expected):
    monkeypatch.setenv("SOLO_DATASETS", solo)
    monkeypatch.setenv("DETECTRON2_DATASETS", other)
    assert str(default_root()) == expected
