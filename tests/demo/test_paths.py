"""Which files of a folder are images, and which paths begin with ~."""

import json

import pytest
from PIL import Image, features


@pytest.fixture
def folder(photo):
    return photo("photos/a.png").parent


def test_what_pillow_reads_is_read(run, folder, tmp_path, make_picture):
    kinds = {"b.jfif": "JPEG", "c.JPE": "JPEG", "d.pgm": "PPM", "e.tga": "TGA"}
    kinds |= {"f.jp2": "JPEG2000"} if features.check("jpg_2000") else {}
    kinds |= {"g.avif": "AVIF"} if features.check("avif") else {}
    for name, kind in kinds.items():
        Image.fromarray(make_picture()).save(folder / name, kind)
    assert run("--input", folder, "--json", "found.json") == 0
    records = json.loads((tmp_path / "found.json").read_text())
    read = {record["file_name"].rpartition("/")[2] for record in records}
    assert read == {"a.png", *kinds}


def test_files_of_the_system_are_passed_over(run, folder, capsys):
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    for argument in (folder, f"{folder}/*"):
        assert run("--input", argument, "--output", "out") == 0
        assert "left out" not in capsys.readouterr().err


def test_other_files_are_named_in_one_line(run, folder, capsys):
    for name in ("b.heic", "c.mp4", "d.h5", "e.eps"):
        (folder / name).write_bytes(b"not for Pillow")
    assert run("--input", folder, "--output", "out") == 0
    (line,) = (text for text in capsys.readouterr().err.splitlines() if "left out" in text)
    listed = ", ".join(str(folder / name) for name in ("b.heic", "c.mp4", "d.h5", "e.eps"))
    assert line == f"left out, no images that Pillow can read: {listed}"
    for index in range(20):
        (folder / f"{index:02}.txt").write_text("")
    assert run("--input", f"{folder}/*", "--output", "out") == 0
    told = capsys.readouterr().err
    assert "00.txt" in told and "05.txt" not in told and "04.txt and 19 more" in told


def test_a_folder_of_other_files_has_no_images(run, folder, capsys):
    (folder / "a.png").rename(folder / "a.heic")
    assert run("--input", folder, "--output", "out") == 1
    told = capsys.readouterr().err
    assert "a folder without images" in told and "a.heic" in told


def test_the_folder_of_the_user(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for argument in ("~/photos", "~/photos/*.png", "~/photos/a.png"):
        assert run("--input", argument, "--output=~/out", "--json=~/found.json") == 0
        (tmp_path / "out" / "a.png").unlink()
        (tmp_path / "found.json").unlink()
