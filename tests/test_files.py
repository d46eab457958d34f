"""Files that are written whole or not at all, and folders that are tried."""

import pytest

from solo.files import check_folder, write_text, write_with, written_whole


def test_what_is_written_replaces_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("one", "tw\N{LATIN SMALL LETTER O WITH DIAERESIS}"):
        write_text(text, path)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError("no space"), OSError),
        # As torch has it.
        (RuntimeError("no space"), OSError),
        (KeyError("bug"), KeyError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path, error, raised):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write(file):
        file.write(b"half of")
        assert path.read_text() == "before"
        raise error

    with pytest.raises(raised) as caught:
        write_with(write, path)
    if raised is OSError:
        assert str(caught.value).startswith(f"{path} cannot be written (no space)")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_library_gets_a_name_with_the_suffix(tmp_path):
    path = tmp_path / "a.b.mp4"
    with written_whole(path) as partial:
        assert partial.parent == tmp_path and partial.suffix == ".mp4"
        partial.write_bytes(b"frames")
        assert not path.exists()
    assert path.read_bytes() == b"frames"
    with written_whole(path) as partial:
        partial.write_bytes(b"none after all")
        partial.unlink()
    assert path.read_bytes() == b"frames" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OSError, match=r"no/a\.txt cannot be written"):
        write_text("", tmp_path / "no" / "a.txt")


def test_a_folder_is_made_and_left_empty(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file.* cannot be written .*; choose another"):
        check_folder(tmp_path / "file")
