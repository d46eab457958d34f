"""A page's blocks, run in a folder as a reader would: commands, Python, and files that the page shows.

`python -m tests.docs.page_runner PAGE` in that folder; one process, so that torch is imported once.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from solo import model_zoo
from solo.checkpoint.published import PUBLISHED
from solo.cli.main import main
from solo.config.load import load_config
from tests.documented_commands import NOT_IN_TUTORIALS, TUTORIALS, words_of
from tests.export.conftest import lively_model
from tests.zoo_server import mmdet_file, publish, zoo_server

_FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block: its language, the file that it is the text of, its text."""

    language: str
    file: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def lines_of(block: Block) -> list[str]:
    """Return the commands of a block, continued lines as one."""
    return [line for line in re.sub(r" *\\\n *", " ", block.text).splitlines() if line.strip()]


def run_page(page: Path) -> None:
    """Run the blocks of a page here; what fails, raises."""
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.file:
            Path(block.file).write_text(block.text)
        elif block.language == "sh":
            for line in lines_of(block):
                run_line(line)
        elif block.language == "python":
            exec(compile(block.text, page.name, "exec"), names)


def run_line(line: str) -> None:
    """Run a command of a page, with what the table adds to it."""
    if line.startswith(tuple(NOT_IN_TUTORIALS)):
        return
    more = next((words for start, words in TUTORIALS.items() if line.startswith(start)), "")
    print(f"$ {line} {more}", flush=True)
    if not line.startswith("solo "):
        words = [sys.executable if word == "python" else word for word in shlex.split(line)]
        subprocess.run(words, check=True)
        return
    try:
        status = main([*words_of(line, Path.cwd()), *shlex.split(more)])
    except SystemExit as stop:
        status = stop.code
    if status:
        raise RuntimeError(f"`{line}` ended with {status}")


def publish_lively_weights() -> None:
    """Put weights that find things in the place of those that a model without a name is fetched with."""
    name = model_zoo.DEFAULT_MODEL
    weights = lively_model(load_config(model_zoo.get_config_file(name), device="cpu")).state_dict()
    PUBLISHED[name] = publish(Path("served"), name, mmdet_file(weights))


if __name__ == "__main__":
    sys.path.insert(0, "")
    page = Path(sys.argv[1])
    with zoo_server(Path("served")) as server:
        os.environ.update(SOLO_ZOO_URL=server.url, SOLO_CACHE="cache")
        if page.stem == "photo":
            publish_lively_weights()
        run_page(page)
