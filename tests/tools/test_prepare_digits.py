import pytest

from solo.tools import prepare_digits


def test_a_file_in_the_place_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_digits, "setup_logger", lambda name: None)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^error: .*file"):
        prepare_digits.main(["--output", str(tmp_path / "file")])
