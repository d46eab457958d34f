"""The command lines that the documents show, and how a test from the wheel runs each."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "demo" / "README.md")

# Run for real, on the toys of tests/test_wheel.py: the line, and what it takes more to run on them.
RUN = {
    "solo setup --check": "",
    "solo data check --annotations cats/train.json --images cats/images": "",
    "solo predict photo.jpg": "--config tiny.yaml --weights tiny.pth",
}
# Lines of the README that are only parsed, and why they are not run.
PARSED = {
    "solo setup": "it installs; tests/environment does that with toy packages",
}


def lines_of(path: Path) -> list[str]:
    """Return the lines `solo ...` in the ```-blocks of a document, continued lines as one, without comments."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", path.read_text(), re.M | re.S)
    text = "\n".join(blocks).replace("\\\n", " ")
    lines = re.findall(r"^ *(?:\$ )?(solo .*)$", text, re.M)
    return [shlex.join(shlex.split(line, comments=True)) for line in lines]


def words_of(line: str) -> list[str]:
    """Return the arguments of a line."""
    return shlex.split(line)[1:]
