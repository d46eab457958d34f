"""Files that are written whole or not at all, and folders that are tried."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from solo.files import Spared, check_folder, write_text, write_with, written_whole

# A process that is killed while it writes a file, and one that writes it until its input ends.
KILLED = """
import os, signal, sys
from solo.files import written_whole
with written_whole(sys.argv[1]) as partial:
    partial.write_text("half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""
WRITING = """
import sys
from solo.files import written_whole
with written_whole(sys.argv[1]) as partial:
    partial.write_text("the other's")
    print("writing", flush=True)
    sys.stdin.read()
"""


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


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with written_whole(path) as first:
        first.write_text("the first's")
        with written_whole(path) as second:
            second.write_text("the second's, which is longer")
        assert path.read_text() == "the second's, which is longer"
    assert path.read_text() == "the first's" and list(tmp_path.iterdir()) == [path]


def test_who_reads_while_several_write_sees_a_whole_file(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([number]) * 300_000 for number in range(3)]

    def write(content):
        for _ in range(20):
            write_with(lambda file: [file.write(content[k::3]) for k in range(3)], path)

    write_with(lambda file: file.write(contents[0]), path)
    with ThreadPoolExecutor(len(contents)) as pool:
        writing = [pool.submit(write, content) for content in contents]
        while not all(each.done() for each in writing):
            assert path.read_bytes() in contents
    for each in writing:
        each.result()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "a.txt"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    arguments = [sys.executable, "-c", WRITING, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"writing\n"
        (living,) = set(tmp_path.iterdir()) - {left}
        for partial in (left, living):
            # Not just now: a file system without locks is to be safe, too.
            os.utime(partial, times=(time.time() - 60,) * 2)
        (tmp_path / ".mine.partial.txt").write_text("named alike")
        write_text("ours", tmp_path / "b.txt")
        names = {file.name for file in tmp_path.iterdir()}
        assert names == {living.name, "b.txt", ".mine.partial.txt"}
        other.communicate()
    assert path.read_text() == "the other's"


def test_a_full_disk_is_told_in_a_few_words(tmp_path, file_size_limit):
    path = tmp_path / "a.txt"
    write_text("before", path)
    with file_size_limit(1000), pytest.raises(OSError) as caught:
        write_text("x" * 100_000, path)
    assert str(caught.value) == (
        f"{path} cannot be written (File too large); what was there before is untouched."
    )
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_long_name_is_no_longer_while_it_is_written(tmp_path):
    path = tmp_path / f"{'a' * 246}.txt"
    write_text("", path)
    assert path.exists()


def test_what_is_worth_less_than_the_work_is_one_warning(tmp_path, caplog):
    path = tmp_path / "no" / "a.txt"
    spared = Spared(path)
    for _ in range(3):
        with spared:
            write_text("", path)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message == (
        f"{path} cannot be written (No such file or directory): the work goes on without"
    )
    with pytest.raises(KeyError), spared:
        raise KeyError("a bug")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OSError, match=r"no/a\.txt cannot be written"):
        write_text("", tmp_path / "no" / "a.txt")


def test_a_folder_is_made_and_left_empty(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_on_a_full_disk_is_told(tmp_path, file_size_limit):
    with file_size_limit(100), pytest.raises(OSError, match=r"cannot be written to \(File too"):
        check_folder(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file.* cannot be written .*; choose another"):
        check_folder(tmp_path / "file")
