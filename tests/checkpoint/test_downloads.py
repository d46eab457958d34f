"""Files over a server that behaves, and over one that does not: one sentence, and nothing left behind."""

import contextlib
import errno
import hashlib
import io
import multiprocessing
import os
import socket
import time

import pytest

from solo.checkpoint import downloads
from solo.checkpoint.downloads import Remote, fetch_into, partial_file, sha256_of
from tests.zoo_server import zoo_server

CONTENT = bytes(range(256)) * 40  # 10,240 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.pth").write_bytes(CONTENT)
    with zoo_server(folder) as server:
        yield server


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder / "a.pth.partial"


def remote(zoo, *paths, sha256=SHA256[:8]):
    return Remote([f"{zoo.url}/{path}" for path in paths or ["a.pth"]], sha256, "do this instead")


def fetched(place, source):
    """Return what is fetched, as it is before the partial file goes."""
    with partial_file(place) as file:
        fetch_into(file, source)
        return place.read_bytes()


def test_a_file_is_fetched_and_nothing_else_is_left(zoo, place):
    assert fetched(place, remote(zoo)) == CONTENT
    assert list(place.parent.iterdir()) == []


def test_a_download_that_was_cut_goes_on_where_it_was(zoo, place):
    zoo.cut_after = 3000
    with pytest.raises(OSError, match=r"a\.pth was cut after 3,000 of 10,240 bytes .*try again"):
        fetched(place, remote(zoo))
    assert place.read_bytes() == CONTENT[:3000]
    zoo.cut_after = None
    assert fetched(place, remote(zoo)) == CONTENT
    assert zoo.sent == len(CONTENT)


def test_a_whole_partial_file_is_not_fetched_again(zoo, place):
    place.write_bytes(CONTENT)
    assert fetched(place, remote(zoo)) == CONTENT
    assert zoo.paths == []


def test_a_server_that_cannot_resume_sends_all(zoo, place):
    place.write_bytes(CONTENT[:3000])
    zoo.resumes = False
    assert fetched(place, remote(zoo)) == CONTENT


@pytest.mark.parametrize(
    "beginning", [b"of another file", bytes(20_000)], ids=["shorter", "longer than the file"]
)
def test_the_beginning_of_another_file_is_begun_anew(zoo, place, beginning):
    place.write_bytes(beginning)
    assert fetched(place, remote(zoo)) == CONTENT


def test_a_length_that_is_not_told(zoo, place):
    zoo.tells_length = False
    assert fetched(place, remote(zoo)) == CONTENT


def test_a_file_of_another_hash_goes(zoo, place):
    with pytest.raises(OSError, match=rf"http.*a\.pth.*{SHA256[:8]}, not with 00000000; do this"):
        fetched(place, remote(zoo, sha256="00000000"))
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_server_that_never_ends_is_left(zoo, place, monkeypatch, tells_length):
    monkeypatch.setattr(downloads, "_MOST", 5000)
    zoo.tells_length = tells_length
    with pytest.raises(OSError, match="more than any published file has; do this instead"):
        fetched(place, remote(zoo))
    assert list(place.parent.iterdir()) == []


def test_what_is_not_there_is_told_and_the_next_address_is_tried(zoo, place):
    with pytest.raises(
        OSError, match=r"none\.pth cannot be fetched \(HTTP 404 Not Found\); do this"
    ):
        fetched(place, remote(zoo, "none.pth", "nor.pth"))
    assert list(place.parent.iterdir()) == []
    assert fetched(place, remote(zoo, "none.pth", "a.pth")) == CONTENT


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9/a.pth", "Connection refused"),
        ("http://nowhere.invalid/a.pth", "[Nn]ame|resolution"),
        ("s4://a.pth", "unknown url type: s4"),
        ("http://a b/a.pth", "URL can't contain control characters"),
        ("file:///nowhere/a.pth", "No such file"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(place, address, reason):
    with pytest.raises(OSError, match=rf"cannot be fetched \(.*({reason}).*\); do this") as told:
        fetched(place, Remote([address], SHA256[:8], "do this instead"))
    assert "<" not in str(told.value)
    assert list(place.parent.iterdir()) == []


@contextlib.contextmanager
def silent_server():
    """Give the address of a socket that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.pth"


def test_a_server_that_says_nothing_is_left(place, monkeypatch):
    monkeypatch.setattr(downloads, "_TIMEOUT", 0.1)
    with (
        silent_server() as address,
        pytest.raises(OSError, match=r"\(nothing came for 0\.1 seconds\)"),
    ):
        fetched(place, Remote([address], SHA256[:8], "do this instead"))


class Full(io.FileIO):
    """A file on a disk that has room for 5,000 bytes more."""

    def write(self, data):
        if self.tell() + len(data) > 5000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_gets_its_room_back(zoo, place, monkeypatch):
    monkeypatch.setattr(downloads, "_CHUNK", 2000)
    with (
        Full(place, "a+b") as file,
        pytest.raises(OSError, match=r"partial cannot be written \(No space left on device\)"),
    ):
        fetch_into(file, remote(zoo))
    assert place.stat().st_size == 0


def test_a_file_that_may_not_grow(zoo, place, file_size_limit):
    with (
        file_size_limit(4000),
        pytest.raises(OSError, match=r"partial cannot be written .* nothing is left"),
    ):
        fetched(place, remote(zoo))
    assert list(place.parent.iterdir()) == []


forked = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are forks")


def process(work):
    """Return a process that has begun, and prints nothing if it is killed."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    return child


@forked
def test_two_processes_take_turns(zoo, place):
    """Who comes second waits for the first, and has a file of its own then."""
    target = place.with_name("a.pth")

    def work():
        with partial_file(place) as file:
            if not target.exists():
                fetch_into(file, remote(zoo))
                target.write_bytes(place.read_bytes())

    children = [process(work) for _ in range(3)]
    for child in children:
        child.join(10)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert zoo.paths == ["/a.pth"] and target.read_bytes() == CONTENT
    assert list(place.parent.iterdir()) == [target]


@forked
def test_what_a_killed_process_had_is_gone_on_with(zoo, place):
    def hold():
        with partial_file(place) as file:
            file.write(CONTENT[:3000])
            time.sleep(60)

    child = process(hold)
    while not place.exists() or place.stat().st_size < 3000:
        time.sleep(0.01)
    child.kill()
    child.join(10)
    assert fetched(place, remote(zoo)) == CONTENT
    assert zoo.sent == len(CONTENT) - 3000


def test_without_locks_each_has_a_file_of_its_own(zoo, place, monkeypatch):
    monkeypatch.setattr(downloads, "_lock", lambda file: False)
    with partial_file(place) as one, partial_file(place) as other:
        fetch_into(one, remote(zoo))
        fetch_into(other, remote(zoo))
        assert one.name != other.name
    zoo.cut_after = 3000
    with pytest.raises(OSError, match="was cut"):
        fetched(place, remote(zoo))
    assert list(place.parent.iterdir()) == []


def test_the_hash_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    assert sha256_of(tmp_path / "a") == SHA256
