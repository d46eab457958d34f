"""The page: what it makes of an image, what it says of failures, and all of it in a real browser."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import types
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from PIL import Image

from solo.cli import serve
from solo.cli._parser import build_parser
from solo.demo import page_content as content
from solo.demo import page_layout as layout
from solo.demo import page_server
from solo.inference import Predictor

DEMO = Path(__file__).resolve().parents[2] / "demo"

# The real command, with the model of blobs.py. Whatever it asks of another machine is printed,
# and so is each run of the model.
SERVER = """
import sys

def report(event, args):
    if event in ("socket.getaddrinfo", "socket.connect"):
        host = args[0] if event == "socket.getaddrinfo" else args[1][0]
        if host not in (None, "127.0.0.1", "localhost", "::1"):
            print("called out:", event, args, flush=True)

sys.addaudithook(report)
sys.path.insert(0, sys.argv[1])
import app
from tests import blobs

forward = blobs.BlobFinder.forward
blobs.BlobFinder.forward = lambda *args: print("model ran", flush=True) or forward(*args)
app.main(sys.argv[2:])
"""
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT = 60_000  # milliseconds: two cores may be busy with other things


def load(words):
    """Load the model of a command line."""
    return page_server.load_model(serve.read_options(parse(words)))


def parse(words):
    parser = build_parser("solo serve", serve.__doc__)
    serve.add_arguments(parser)
    return parser.parse(words)


@pytest.fixture
def predictor(model):
    return load(model)


@pytest.fixture(autouse=True)
def same_environment():
    with mock.patch.dict(os.environ):
        yield


def test_instances_are_drawn_and_listed(predictor, photo, tmp_path):
    found = content.find_instances(photo("a b.png", blobs=3), predictor)
    # Scores are 1, 1/2 and 1/3; blobs are squares of 10 pixels.
    assert content.list_instances(found) == [
        ("one", 1, 100),
        ("one", 0.5, 100),
        ("one", 0.33333, 100),
    ]
    picture, records = content.write_found(found, predictor.class_names, tmp_path)
    assert (picture.name, records.name) == ("a b.jpg", "a b.json")
    drawn = cv2.imread(str(picture))
    assert drawn.shape == (533, 800, 3)
    saved = json.loads(records.read_text())
    assert [record["bbox"] for record in saved] == [[5 + 15 * i, 10, 10, 10] for i in range(3)]
    assert {record["file_name"] for record in saved} == {"a b.png"}
    assert saved[0]["category_name"] == "one" and saved[0]["segmentation"]["size"] == [40, 60]


def test_the_threshold_leaves_instances_out_of_all_outputs(predictor, photo, tmp_path):
    found = content.find_instances(photo(blobs=3), predictor)
    chosen = content.select(found, 0.5)  # at least
    assert [row.score for row in content.list_instances(chosen)] == [1, 0.5]
    picture, records = content.write_found(chosen, predictor.class_names, tmp_path)
    assert len(json.loads(records.read_text())) == 2
    drawn = cv2.imread(str(picture)).astype(int)
    gray_levels = drawn[200, [133, 333, 533]]  # the middles of the three blobs
    assert (np.ptp(gray_levels, axis=1) > 20).tolist() == [True, True, False]
    assert content.select(chosen, 1.1).records == []


@pytest.mark.parametrize(
    "size, shown",
    [
        ((40, 60), (533, 800)),
        ((1000, 900), (1000, 900)),
        ((3000, 4000), (1200, 1600)),
        ((16, 40000), (1, 1600)),
    ],
)
def test_the_size_of_the_picture(size, shown):
    assert content.shown_size(*size) == shown


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16"])
def test_images_of_all_kinds(tmp_path, mode):
    dtype = np.uint16 if mode == "I;16" else np.uint8
    image = Image.fromarray(np.zeros((20, 30), dtype))
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / "a.tif")
    assert content.read_upload(tmp_path / "a.tif").shape == (20, 30, 3)


def test_exif_orientation_is_honoured(predictor, make_picture, tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    Image.fromarray(make_picture()).save(tmp_path / "a.jpg", exif=exif)
    found = content.find_instances(tmp_path / "a.jpg", predictor)
    assert found.picture.shape == (800, 533, 3)
    assert found.records[0]["segmentation"]["size"] == [60, 40]


def test_files_that_are_refused(predictor, photo, tmp_path, monkeypatch):
    broken = tmp_path / "b.jpg"
    broken.write_bytes(b"\xff\xd8\xff not an image")
    # The header is whole, the pixels are not.
    cut = tmp_path / "c.png"
    cut.write_bytes(photo().read_bytes()[:60])
    small = tmp_path / "s.png"
    Image.new("RGB", (200, 15)).save(small)
    for path, words in (
        (broken, "b.jpg: cannot be read as an image"),
        (cut, "c.png: cannot be read as an image"),
        (small, "s.png: 200 x 15 pixels; each side needs 16 or more."),
    ):
        sentence = layout.answer(path, predictor)
        assert sentence.startswith(words) and str(tmp_path) not in sentence
    monkeypatch.setattr(content, "MAX_PIXELS", 2000)
    assert "a.png: 60 x 40 pixels; the page takes up to" in layout.answer(photo(), predictor)


def test_a_failure_of_the_model_is_a_sentence(photo, caplog):
    def fail(image, *, threshold):
        raise MemoryError("no <b>memory</b>")

    sentence = layout.answer(photo(), fail)
    assert sentence == "The model failed on a.png: MemoryError: no <b>memory</b>"
    assert "Traceback" in caplog.text  # for the terminal
    assert "&lt;b&gt;memory" in layout.describe_failure(sentence)


def test_names_are_text_and_not_html():
    head = layout.describe_model("<i>", ["a&b.pth", "cpu"], ["<script>", "two"])
    assert "&lt;i&gt;" in head and "a&amp;b.pth · cpu" in head and "2 classes" in head
    assert "<script>" not in head
    assert "classes" not in layout.describe_model("a", ["cpu"], [])
    found = content.Found("<i>.png", np.zeros((1, 1, 3), np.uint8), [], [{}] * 3, 1.234)
    line = layout.describe(found, found._replace(records=[{}]))
    assert "&lt;i&gt;.png: 1 of 3 instances, found in 1.23 s" in line


def test_an_exported_model_gives_run_lengths(monkeypatch):
    monkeypatch.setattr(Predictor, "from_exported", lambda path, **options: options)
    expected = {"threads": 0, "mask_format": "rle", "tiles": None, "amp": False}
    assert load(["--onnx", "model.onnx"]) == expected


@pytest.mark.parametrize(
    "more", [["--opts", "KEY"], ["--port", "0"], ["--onnx", "model.onnx"], ["--no-such-option"]]
)
def test_wrong_arguments(app, model, more, capsys):
    with pytest.raises(SystemExit) as error:
        app.main([*model, *more])
    assert error.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_port_that_is_taken(app, model):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            SystemExit, match=rf"error: .*127\.0\.0\.1, port {port} \(.*\): .*--port"
        ):
            app.main([*model, "--port", str(port)])


def test_gradio_is_missing(app, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(SystemExit, match=re.escape('pip install "gradio>=6.31"')):
        app.main([*model, "--port", str(free_port())])


def test_a_checkpoint_that_cannot_be_read(app, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", types.ModuleType("gradio"))
    for name in ("model.pth", "missing.pth"):
        weights = Path(model[3]).with_name(name)
        if name == "model.pth":
            weights.write_bytes(b"no checkpoint")
        with pytest.raises(SystemExit, match=f"^error: .*{name}"):
            app.main([*model[:2], "--weights", str(weights), "--port", str(free_port())])


def test_ctrl_c_is_a_clean_end(app, model, monkeypatch, capsys):
    def stop(args):
        assert Path(os.environ["GRADIO_TEMP_DIR"]).is_dir()
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "gradio", types.ModuleType("gradio"))
    monkeypatch.setattr(page_server, "load_model", stop)
    app.main([*model, "--port", str(free_port())])
    assert capsys.readouterr().out == "Stopped.\n"
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert not Path(os.environ["GRADIO_TEMP_DIR"]).exists()


def test_images_given_while_another_is_looked_at_are_kept(predictor):
    gr = mock.MagicMock()
    layout.build_page(gr, predictor, "a")
    # gradio's default, "once", drops them.
    assert gr.File.return_value.upload.call_args.kwargs["trigger_mode"] == "multiple"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def server(model, tmp_path, request):
    """Start the command, with SOLO_PAGE_PASSWORD if there is a parameter; yield it and the address."""
    if not find_spec("gradio"):
        pytest.skip("gradio is not installed")
    command = [sys.executable, "-c", SERVER, str(DEMO)]
    process = subprocess.Popen(
        [*command, *model, "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and would be by this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={
            **os.environ,
            "TMPDIR": str(tmp_path),
            "SOLO_PAGE_PASSWORD": getattr(request, "param", ""),
        },
    )
    watchdog = threading.Timer(TIMEOUT / 1000 * 2, process.kill)
    watchdog.start()
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "The page is at" in line:
                break
        address = re.search(r"http://127\.0\.0\.1:\d+/", "".join(lines))
        assert address, "".join(lines)
        watchdog.cancel()  # from here on, each step has a limit of its own
        yield process, address.group()
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.fixture
def browser(tmp_path):
    """Start Chromium, without a screen; yield an empty tab."""
    if not find_spec("playwright"):
        pytest.skip("playwright is not installed")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("there is no chromium on the PATH")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=chromium, args=CHROMIUM_ARGUMENTS
        )
        context.set_default_timeout(TIMEOUT)
        yield context.pages[0]
        context.close()


@pytest.mark.slow
def test_in_a_browser(browser, server, photo, make_picture, tmp_path):
    from playwright.sync_api import expect

    process, address = server
    elsewhere = []
    inside = (address, "data:", "blob:")
    browser.on("request", lambda r: r.url.startswith(inside) or elsewhere.append(r.url))
    browser.goto(address)
    expect(browser.locator("#model")).to_contain_text("model.pth · cpu")
    field = browser.locator("#upload input[type=file]")
    status = browser.locator("#status")
    picture = browser.locator("#picture img")
    rows = browser.locator("#table [role=gridcell][aria-colindex='1']")

    field.set_input_files(photo(blobs=3))
    expect(rows).to_have_text(["one"] * 3)
    browser.wait_for_function("document.querySelector('#picture img')?.naturalWidth > 0")
    body = browser.request.get(picture.get_attribute("src")).body()
    drawn = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    plain = cv2.resize(make_picture(3), drawn.shape[1::-1])
    # The masks cover the blobs, an eighth of the picture.
    assert 0.12 < (cv2.absdiff(drawn, plain).max(axis=2) > 30).mean() < 0.3

    browser.locator("#threshold input[type=range]").fill("0.4")
    expect(rows).to_have_count(2)
    expect(status).to_contain_text("a.png: 2 of 3 instances")
    with browser.expect_download() as download:
        browser.locator("#json").click()
    assert download.value.suggested_filename == "a.json"
    records = json.loads(Path(download.value.path()).read_text())
    assert [record["score"] for record in records] == [1, 0.5]

    broken = tmp_path / "b.jpg"
    broken.write_bytes(b"\xff\xd8\xff not an image")
    field.set_input_files(broken)
    expect(status.get_by_role("alert")).to_contain_text("b.jpg: cannot be read as an image")
    expect(rows).to_have_count(0)
    expect(picture).to_have_count(0)
    field.set_input_files(photo("c.png", blobs=1))
    expect(status).to_contain_text("c.png: 1 of 1 instances")
    assert elsewhere == []

    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=TIMEOUT / 1000)[0]
    assert process.returncode == 0
    # Two images, no more runs for the threshold; nothing called out, no traceback.
    assert not list(tmp_path.glob("solo-page-*"))
    assert output.count("model ran") == 2 and output.endswith("Stopped.\n")
    assert "called out" not in output and "Traceback" not in output


def status_of(address, **headers):
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT / 1000) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.parametrize("server", ["word"], indirect=True)
def test_the_server_refuses_strangers(server):
    _, address = server
    known = {"Authorization": "Basic " + base64.b64encode(b":word").decode()}
    for path in ("", "config", "gradio_api/info", "theme.css", "static/none"):
        assert status_of(address + path) == 401
        assert status_of(address + path, **known, Host="evil.example") == 403
        assert status_of(address + path, **known, Origin="http://evil.example") == 403
    assert status_of(address, **known) == status_of(address + "config", **known) == 200


def test_a_page_for_others_is_warned_of(app, model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)  # it ends there
    for more, warned in (
        (["--host", "0.0.0.0"], True),
        (["--host", "0.0.0.0", "--password", "word"], False),
        ([], False),
    ):
        with pytest.raises(SystemExit, match="gradio"):
            app.main([*model, "--port", str(free_port()), *more])
        assert ("whoever reaches this machine" in capsys.readouterr().err) == warned


def test_the_password_comes_from_the_environment(model, monkeypatch):
    monkeypatch.setenv("SOLO_PAGE_PASSWORD", "word")
    assert parse(model).password == "word"
    assert parse([*model, "--password", "other"]).password == "other"
