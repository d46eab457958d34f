"""`solo serve`: its flags, and what is told before a model is built; the page itself is in tests/demo."""

import re
import sys

import pytest

from solo.cli import serve
from solo.cli._parser import build_parser
from solo.demo import page_server
from solo.demo.page_server import PageOptions
from solo.model_zoo import DEFAULT_MODEL


def read_options(*words):
    parser = build_parser("solo serve", serve.__doc__)
    serve.add_arguments(parser)
    return serve.read_options(parser.parse(words))


def test_what_the_flags_say(monkeypatch):
    monkeypatch.delenv("SOLO_PAGE_PASSWORD", raising=False)
    assert read_options() == PageOptions(
        config_file=DEFAULT_MODEL,
        weights=f"solo://{DEFAULT_MODEL}",
        title=DEFAULT_MODEL,
        opts=[],
        allow_host=[],
    )
    words = "--config x/cats.yaml --weights w --device cpu --host 0.0.0.0 --port 80 --password p"
    options = read_options(*words.split(), "--allow-host", "a", "--allow-host", "b", "SEED", "1")
    assert options == PageOptions(
        *("x/cats.yaml", "w", "", "cpu", ["SEED", "1"], "cats", "0.0.0.0", 80, ["a", "b"], "p")
    )


def test_ctrl_c_is_the_usual_end(solo, model, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(page_server, "check_address", stop)
    assert solo("serve", *model) == 0
    assert capsys.readouterr().out == "Stopped.\n"


def test_gradio_is_missing(solo, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(page_server, "load_model", None)  # not called
    monkeypatch.setattr(page_server, "check_address", lambda *_: None)
    with pytest.raises(SystemExit, match=re.escape('pip install "gradio>=6.31"')):
        solo("serve", *model)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "0"], "'0' is no port: give 1 to 65535"),
        (["--port", "x"], "'x' is no port"),
        (["photo.jpg"], "'photo.jpg' is alone"),
        (["--onnx", "a.onnx", "--weights", "w"], "leave out --weights"),
        (["--pasword", "w"], "did you mean --password?"),
    ],
)
def test_wrong_command_lines(solo, words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        solo("serve", *words)
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
