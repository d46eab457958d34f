"""The table of published models, and downloads ahead of use, from a folder in place of the net."""

import json

import pytest
import torch

from solo import model_zoo
from solo.checkpoint.published import PUBLISHED
from solo.cli.main import main
from tests.zoo_server import publish

NAMES = ("imagenet/resnet18", "imagenet/resnet34")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache without files, and a mirror with two small ones."""
    for name in NAMES:
        small = publish(tmp_path / "mirror", name, {"conv1.weight": torch.ones(2)})
        monkeypatch.setitem(PUBLISHED, name, small)
    monkeypatch.setenv("SOLO_ZOO_URL", (tmp_path / "mirror").as_uri())
    monkeypatch.setenv("SOLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "cache"


def test_the_table(cache, capsys):
    assert main(["zoo"]) == 0
    table, bare, place = capsys.readouterr().out.split("\n\n")
    lines = table.splitlines()
    assert len(lines) == 2 + len(PUBLISHED)
    row = next(line for line in lines if line.startswith("coco/solov2_R_50_FPN_3x "))
    assert row.split() == [
        "coco/solov2_R_50_FPN_3x",
        "37.5",
        "masks",
        "46.5",
        "M",
        "~186",
        "MB",
        "Apache-2.0",
        "no",
    ]
    assert "coco/solo_R_101_FPN_3x, " in bare and "solov2_R_50_FPN_3x" not in bare
    assert str(cache) in place


def test_files_are_fetched_by_name_and_told(cache, tmp_path, capsys):
    main(["zoo", "download", *NAMES, "--json", str(tmp_path / "rows.json")])
    *told, written, path = capsys.readouterr().out.split()
    assert (written, path) == ("written:", str(tmp_path / "rows.json"))
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["file"] for row in rows] == told and [row["name"] for row in rows] == [*NAMES]
    assert sorted(map(str, cache.iterdir())) == sorted(told)
    main(["zoo"])
    assert sum(line.endswith("yes") for line in capsys.readouterr().out.splitlines()) == 2


def test_json_is_printed_alone(cache, capsys):
    main(["zoo", "--json", "-"])
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(PUBLISHED) and rows[0]["average_precision"] == 33.1


def test_all(cache, monkeypatch, capsys):
    monkeypatch.setattr(model_zoo, "download", lambda name: f"of {name}")
    main(["zoo", "--all"])
    assert capsys.readouterr().out.splitlines() == [f"of {name}" for name in PUBLISHED]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["coco/solov2_R_50_FPN_3x"], "did you mean `solo zoo download coco/solov2_R_50_FPN_3x`"),
        (["downlod", "imagenet/resnet18"], "did you mean `solo zoo download imagenet/resnet18`"),
        (["donwload"], "did you mean `solo zoo download`"),
        (["download"], "Name what to download"),
        (["download", "resnet18", "imagenet/resnet34"], "did you mean imagenet/resnet18"),
    ],
)
def test_mistakes_are_told_before_anything_is_fetched(cache, words, message):
    with pytest.raises(SystemExit, match=rf"error: .*{message}"):
        main(["zoo", *words])
    assert not cache.exists()
