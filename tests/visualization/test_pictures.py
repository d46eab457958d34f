"""Names of pictures, and their bytes."""

import cv2
import numpy as np
import pytest

from solo.visualization.pictures import check_picture_path, write_picture


def test_what_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        check_picture_path(tmp_path / "file" / "a.png")
    with pytest.raises(OSError, match="cannot be encoded as"):
        write_picture(np.zeros((1, 70_000, 3), dtype=np.uint8), tmp_path / "wide.jpg")
    assert not (tmp_path / "wide.jpg").exists()


@pytest.mark.parametrize("name", ["sheet", "sheet.gif", "sheet.png.txt"])
def test_names_of_no_picture_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"ends in \.png or \.jpg"):
        check_picture_path(tmp_path / name)


def test_a_folder_is_no_picture(tmp_path):
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(ValueError, match=r"dir\.png is a folder: name a file"):
        check_picture_path(tmp_path / "dir.png")


def test_a_picture_is_read_back(tmp_path):
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    write_picture(picture, tmp_path / "a.PNG")
    assert np.array_equal(cv2.imread(str(tmp_path / "a.PNG")), picture)
