import pytest

from solo.cli.main import main


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^error: .*file"):
        main(["data", "digits", "--output", str(tmp_path / "file")])
