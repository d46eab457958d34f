"""What people see: on a real pseudo terminal, and where there is none."""

import ast
import contextlib
import itertools
import logging
import os
import select
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from solo import terminal
from solo.others_warnings import others_silenced, silence_others
from solo.terminal import LiveLine, duration, show_messages, tell

ROOT = Path(__file__).parents[1]
pty = pytest.importorskip("pty", reason="there are no such terminals on Windows")


@contextlib.contextmanager
def screen(monkeypatch):
    """Let standard error be a terminal; yields a function that returns what was written to it."""
    ours, theirs = pty.openpty()
    monkeypatch.setattr(terminal, "_REDRAW", 0.0)
    with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)

        def written():
            stream.flush()
            data = b""
            while select.select([ours], [], [], 0.1)[0]:  # it takes its time to come through
                data += os.read(ours, 1 << 16)
            return data.decode()

        yield written
    os.close(ours)


@pytest.fixture
def plain(monkeypatch):
    """Do not wait for plain lines."""
    monkeypatch.setattr(terminal, "_FIRST", 0.0)
    monkeypatch.setattr(terminal, "_EVERY", 0.0)


def seen(text):
    """Return the lines that stay, as a terminal shows them."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        cells = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


def test_a_line_changes_and_leaves_nothing(monkeypatch):
    with screen(monkeypatch) as written:
        with LiveLine() as line:
            for done in (1, 2):
                line.show(done / 2, lambda columns, done=done: f"{done} of 2 on {columns}")
            changing = written()
            tell("in between", sys.stderr)
        left = written()
    # This terminal does not say how wide it is.
    assert "1 of 2 on 79" in changing and "2 of 2 on 79" in changing and "\n" not in changing
    assert seen(changing + left) == ["in between", ""]


def test_the_youngest_of_two_lines_is_seen(monkeypatch):
    with screen(monkeypatch) as written:
        with LiveLine() as outer:
            outer.show(0.5, lambda _: "training")
            with LiveLine() as inner:
                inner.show(0.5, lambda _: "evaluating")
                assert seen(written()) == ["evaluating"]
            assert seen(written()) == ["training"]
        assert seen(written()) == [""]


def test_plain_lines_come_each_five_percent(plain, capsys):
    with LiveLine() as line:
        for done in range(1, 1001):
            line.show(done / 1000, lambda _, done=done: f"{done} of 1000")
    told = capsys.readouterr().err
    numbers = [int(text.split()[0]) for text in told.splitlines()]
    assert numbers[0] == 1 and len(numbers) == 20 and "\r" not in told
    assert min(b - a for a, b in itertools.pairwise(numbers)) >= 50


def test_plain_lines_wait_for_a_minute_but_for_the_first(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr("solo.terminal.time.monotonic", lambda: now)
    with LiveLine() as line:
        for now in range(0, 400, 10):
            line.show(now / 400, lambda _, now=now: f"{now} s")
    assert capsys.readouterr().err.split(" s\n") == [
        "20",
        "80",
        "140",
        "200",
        "260",
        "320",
        "380",
        "",
    ]


def test_no_line_where_it_is_not_to_be_seen(plain, capsys, monkeypatch):
    with LiveLine(shown=False) as line:
        line.show(0.5, str)
    monkeypatch.setattr(LiveLine, "off", True)
    with LiveLine() as line:
        line.show(0.5, str)
    assert capsys.readouterr().err == ""


def test_a_reader_that_has_gone_stops_nothing():
    ours, theirs = os.pipe()
    os.close(ours)
    stream = os.fdopen(theirs, "w")
    tell("lost", stream)
    with pytest.raises(BrokenPipeError):
        stream.close()  # the text is still there


def test_a_terminal_that_lacks_a_letter_breaks_nothing():
    code = "from solo.terminal import print_anything, tell; print_anything(); tell('r\\xfc2')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("r\\xfc2\n", "")


def test_warnings_are_a_line_each_and_each_once(loggers_as_before, capsys):
    show_messages()
    show_messages()  # of a second command in the same process
    logger = logging.getLogger("solo.some.part")
    for _ in range(2):
        logger.warning("one\n  and %d", 2)
    logger.error("said at the end", extra={"log_only": True})
    logger.info("for the log")
    try:
        raise ValueError("with a traceback")
    except ValueError:
        logging.getLogger("detectron2.data").exception("broken")
    told = capsys.readouterr()
    assert told.err == "warning: one and 2\nerror: broken\n" and told.out == ""


def test_a_message_that_does_not_fit_its_arguments_stops_nothing(capsys):
    # Not by a logger: the handler of pytest raises at it, too.
    record = logging.LogRecord("others", logging.WARNING, "", 0, "%d images", ("many",), None)
    terminal.Messages().handle(record)
    assert "'%d images'" in capsys.readouterr().err


def test_others_are_silenced_precisely():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        silence_others()
        warnings.warn("`torch.jit.script` is deprecated.", FutureWarning, stacklevel=1)
        warnings.warn("torch.meshgrid: in an upcoming release, it will", UserWarning, stacklevel=1)
        warnings.warn("of something else", FutureWarning, stacklevel=1)
        warnings.warn("`torch.jit.script` of a user", UserWarning, stacklevel=1)
    assert [str(item.message)[:12] for item in caught] == ["of something", "`torch.jit.s"]


def test_what_is_imported_may_reset_the_filters():
    with warnings.catch_warnings(), others_silenced():
        warnings.resetwarnings()


def test_an_import_warns_of_nothing_and_leaves_the_filters_of_the_program():
    code = (
        "import warnings, solo.inference, torch;"
        "assert any('TracerWarning' in str(item[2]) for item in warnings.filters), 'of torch itself';"
        "warnings.warn('`torch.jit.script` of the program', FutureWarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert told == ["<string>:1: FutureWarning: `torch.jit.script` of the program"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (4.4, "4 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5940, "99 min"),
        (6000, "1 h 40 min"),
        (276_000, "3 d 4 h"),
    ],
)
def test_a_time_as_people_say_it(seconds, said):
    assert duration(seconds) == said


def test_no_bar_where_there_is_no_terminal():
    calls = [
        (path, node)
        for path in (ROOT / "solo").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tqdm"
    ]
    assert calls
    for path, call in calls:
        assert "disable" in {word.arg for word in call.keywords}, f"{path}:{call.lineno}"
