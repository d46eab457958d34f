"""--import: modules of the working directory, too, and one sentence where there is none."""

import argparse
import sys
from pathlib import Path

import pytest

from solo.user_modules import add_import, import_modules


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    return tmp_path


def test_modules_are_imported_as_they_are_named(folder: Path) -> None:
    for name in ("first_of_mine", "second_of_mine"):
        (folder / f"{name}.py").write_text("VALUE = 1")
    parser = argparse.ArgumentParser()
    add_import(parser)
    assert parser.parse_args([]).imports == []
    names = ["first_of_mine", "second_of_mine"]
    assert parser.parse_args([f"--import={name}" for name in names]).imports == names
    assert all(sys.modules.pop(name).VALUE == 1 for name in names)


@pytest.mark.parametrize("name", ["not_there", "not_there.part", "json.not_there", "./mine.py"])
def test_a_module_that_is_not_there_is_one_sentence(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=f"--import {name}: there is no such module"):
        import_modules([name])
    parser = argparse.ArgumentParser()
    add_import(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--import", name])
    assert f"error: --import {name}: there is no such module" in capsys.readouterr().err


def test_a_module_that_lacks_another_one_says_so_itself(folder: Path) -> None:
    (folder / "lacking.py").write_text("import not_there")
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there'"):
        import_modules(["lacking"])
