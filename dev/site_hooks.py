"""Hooks of mkdocs: pages whose files lie outside docs/, and the links to them; config keys as a table."""

import posixpath
import re
from pathlib import Path
from typing import Any

from config_keys import SOURCES, config_keys, markdown_page

ROOT = Path(__file__).parents[1]
# Where a file of the repository stands in the site; files below docs/ keep their paths.
PAGES = {
    "README.md": "index.md",
    "demo/README.md": "predict_and_serve.md",
    "configs/README.md": "configs.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "solo/config/defaults.py": "config_keys.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not in docs/."""
    from mkdocs.structure.files import File

    for file, page in PAGES.items():
        if page == "index.md":  # docs/ has one of its own
            continue
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            sources = [(ROOT / file).with_name(name).read_text("utf-8") for name in SOURCES]
            text = markdown_page(config_keys("\n".join(sources)))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make the links of a page lead to where their files are in the site."""
    return with_site_links(markdown, page.file.src_uri)


def on_page_content(html: str, **_: Any) -> str:
    """Leave out the roles of reStructuredText that docstrings have before names in quotes."""
    return re.sub(r":(?:attr|class|func|meth|mod):(?=<code>)", "", html)


def with_site_links(markdown: str, page: str) -> str:
    """Return a page's text with links to other files of the repository as links between pages.

    Args:
        markdown: The text as it stands in the repository.
        page: Its place in the site, as "tutorials/photo.md".

    Returns:
        The text, in which links to files that the site does not have are plain words.
    """
    files = {place: file for file, place in PAGES.items() if place != "index.md"}
    folder = posixpath.dirname(files.get(page, f"docs/{page}"))

    def replaced(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, hash_mark, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join(folder, path))
        place = PAGES.get(file, file.removeprefix("docs/") if file.startswith("docs/") else "")
        if not place:
            return text if text.startswith("`") else f"`{text}`" if "/" in text else text
        way = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{mark}[{text}]({way}{hash_mark}{anchor})"

    return _LINK.sub(replaced, markdown)
