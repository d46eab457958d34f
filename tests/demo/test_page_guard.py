"""The page is asked by those whom it is for, and for no more than it has room for."""

import asyncio
import base64
import os

import pytest

from solo.demo import page_guard
from solo.demo.page_guard import Guard, delete_oldest, is_this_machine_only

MINE = {"host": "127.0.0.1:7860"}


class Page:
    """An app that counts what reaches it."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        self.asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})


def ask(guard, headers, path="/", kind="http"):
    """Return the first message of the answer, and the body."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = []

    async def send(message):
        answer.append(message)

    asyncio.run(guard({"type": kind, "path": path, "headers": raw}, None, send))
    return answer[0], answer[-1].get("body", b"").decode()


def status_of(guard, headers, path="/"):
    return ask(guard, headers, path)[0]["status"]


@pytest.fixture
def make_guard(tmp_path):
    def make(host="127.0.0.1", allowed=(), password=""):
        return Guard(Page(), host=host, allowed=allowed, password=password, files=tmp_path)

    return make


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("LOCALHOST:8000", 200),  # of a tunnel
        ("[::1]:7860", 200),
        ("demo.example", 200),
        ("evil.example:7860", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("192.168.1.5:7860", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_the_page_has_its_names_and_no_others(make_guard, host, status):
    assert status_of(make_guard(allowed=["Demo.example"]), {"host": host}) == status


def test_at_all_addresses_no_name_is_taken_for_one(make_guard):
    guard = make_guard(host="0.0.0.0")
    assert status_of(guard, {"host": "192.168.1.5:7860"}) == 200
    assert status_of(guard, {"host": "evil.example"}) == 403
    answer = ask(guard, {"host": "evil.example"})[1]
    assert answer == "The page is not at evil.example. If it is: --allow-host evil.example"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 200),
        ("https://127.0.0.1:7860", 200),  # behind a proxy
        ("http://127.0.0.1:8888", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_others_may_not_use_it(make_guard, origin, status):
    guard = make_guard()
    assert status_of(guard, {**MINE, "origin": origin}, "/gradio_api/upload") == status
    assert len(guard.app.asked) == (status == 200)


def test_a_socket_is_refused_as_well(make_guard):
    assert ask(make_guard(), {"host": "evil.example"}, kind="websocket")[0] == {
        "type": "websocket.close",
        "code": 1008,
    }


def basic(user, password):
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_password(make_guard):
    guard = make_guard(password="wörd:s")
    answer, sentence = ask(guard, MINE)
    assert answer["status"] == 401 and "password" in sentence
    assert dict(answer["headers"])[b"www-authenticate"].startswith(b"Basic ")
    for wrong in (basic("a", "word"), basic("wörd", "s"), {"authorization": "Basic ä!"}):
        assert status_of(guard, {**MINE, **wrong}) == 401
    assert status_of(guard, {**MINE, **basic("anyone", "wörd:s")}) == 200
    assert status_of(guard, {**MINE, "host": "evil.example", **basic("a", "wörd:s")}) == 403


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/gradio_api/queue/join", "1000", 200),
        ("/gradio_api/queue/join", str(2**20 + 1), 413),
        ("/gradio_api/upload", str(200 * 2**20), 200),
        ("/gradio_api/upload", str(202 * 2**20), 413),
        ("/gradio_api/upload", "9" * 5000, 413),
        ("/gradio_api/upload", "-1", 413),
    ],
)
def test_requests_are_of_a_limited_size(make_guard, path, size, status):
    assert status_of(make_guard(), {**MINE, "content-length": size}, path) == status


def test_requests_say_how_long_they_are(make_guard):
    chunked = {**MINE, "transfer-encoding": "chunked"}
    assert status_of(make_guard(), chunked, "/gradio_api/upload") == 411


def test_uploads_at_the_same_time_are_limited(make_guard):
    guard = make_guard()

    async def app(scope, receive, send):
        # While this one is answered, there are as many others.
        guard.app = Page()
        guard._uploads += page_guard.MAX_UPLOADS - 1
        await guard({**scope}, receive, send)
        guard._uploads -= page_guard.MAX_UPLOADS - 1

    guard.app = app
    assert status_of(guard, MINE, "/gradio_api/upload") == 503
    assert status_of(guard, MINE, "/gradio_api/upload") == 200


def test_the_oldest_files_go(tmp_path):
    for age, name in enumerate(("new", "a/old", "b/oldest")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    delete_oldest(tmp_path, 300)
    assert (tmp_path / "b" / "oldest").exists()
    delete_oldest(tmp_path, 250)
    assert not (tmp_path / "b" / "oldest").exists() and (tmp_path / "a" / "old").exists()
    delete_oldest(tmp_path, 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_upload_makes_room(make_guard, tmp_path, monkeypatch):
    monkeypatch.setattr(page_guard, "MAX_KEPT", page_guard.MAX_UPLOADS * page_guard.MAX_UPLOAD + 50)
    (tmp_path / "old").write_bytes(bytes(100))
    assert status_of(make_guard(), MINE, "/gradio_api/queue/join") == 200
    assert (tmp_path / "old").exists()
    assert status_of(make_guard(), MINE, "/gradio_api/upload") == 200
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize(
    ("host", "only"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_who_reaches_an_address(host, only):
    assert is_this_machine_only(host) == only
