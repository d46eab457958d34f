"""The pages as they lie in the repository: links, anchors, the navigation of the site, the keys that they name."""

import importlib
import re
from pathlib import Path
from urllib.parse import unquote

import config_keys
import pytest
import site_hooks
import yaml
from detectron2.config import get_cfg as get_detectron2_cfg

from solo.cli.main import GROUPS, main
from solo.config import get_cfg
from solo.config.load import load_config
from tests.docs.page_runner import blocks_of
from tests.documented_commands import ROOT, words_of

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "demo/*.md", "configs/*.md")
    for path in ROOT.glob(pattern)
)
_FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def text_of(page: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"`[^`\n]*`", "", _FENCED.sub("", page.read_text(encoding="utf-8")))


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and mkdocs make them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_a_file_and_each_anchor_is_there(page):
    for link in _LINK.findall(text_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / unquote(path) if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors_of(target), f"{link} has no such heading"


def test_the_site_has_each_page_in_its_navigation():
    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        inner = entry.values() if isinstance(entry, dict) else entry
        return [page for item in inner for page in pages(item)]

    nav = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    own = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert sorted(nav) == sorted(own | set(site_hooks.PAGES.values()))
    assert all((ROOT / file).is_file() for file in site_hooks.PAGES)


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("training.md", "[a](inference.md#ap)", "[a](inference.md#ap)"),
        ("training.md", "[a](../demo/README.md)", "[a](predict_and_serve.md)"),
        ("tutorials/photo.md", "[a](../../README.md)", "[a](../index.md)"),
        ("tutorials/photo.md", "![a [b]](../images/c.jpg)", "![a [b]](../images/c.jpg)"),
        ("predict_and_serve.md", "![a](../docs/images/page.jpg)", "![a](images/page.jpg)"),
        ("configs.md", "[coco/x](coco/x.yaml)", "`coco/x`"),
        (
            "contributing.md",
            "the [licence](LICENSE) of [x](https://x.org/a)",
            "the licence of [x](https://x.org/a)",
        ),
        ("index.md", "[a](#names)", "[a](#names)"),
    ],
)
def test_links_out_of_docs_become_links_between_pages(page, text, expected):
    assert site_hooks.with_site_links(text, page) == expected


def flat(node, prefix=""):
    for name, value in node.items():
        if isinstance(value, type(node)):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_the_table_of_keys_has_each_with_its_default():
    added = dict(flat(get_cfg()))
    for name, value in flat(get_detectron2_cfg()):
        if added[name] == value:  # else solo has another default
            del added[name]
    sources = [ROOT / "solo" / "config" / name for name in config_keys.SOURCES]
    keys = config_keys.config_keys("\n".join(path.read_text() for path in sources))
    assert {key.name: eval(key.default) for key in keys if key.default} == added
    page = config_keys.markdown_page(keys)
    rows = re.findall(r"^\| `(\w+)` \| `(.*)` \| (.*) \|$", page, re.M)
    assert sorted(row[0] for row in rows) == sorted(name.rpartition(".")[2] for name in added)
    assert sum(bool(comment) for _, _, comment in rows) > 0.7 * len(rows)


def test_keys_that_the_migration_names_are_there():
    words = {word for name, _ in flat(get_cfg()) for word in name.split(".")}
    table = re.findall(r"^\|(.*)\|(.*)\|$", (ROOT / "docs" / "migration.md").read_text(), re.M)
    here = " ".join(right for _, right in table)
    named = re.findall(r"\b[A-Z][A-Z_0-9]{2,}\b", " ".join(re.findall(r"`([^`]*)`", here)))
    assert len(named) > 60
    assert not sorted(set(named) - words - {"RGB"})


def test_commands_that_the_migration_names_are_understood(monkeypatch, loggers_as_before):
    named = re.findall(
        r"`(solo [a-z]+ [^`]*--[^`]*)`", (ROOT / "docs" / "migration.md").read_text()
    )
    lines = [line for line in named if line != "solo data convert --to yolo"]
    assert len(lines) >= 7
    for line in lines:
        words = words_of(line)
        verb = words[:2] if words[0] in GROUPS else words[:1]
        module = importlib.import_module(".".join(["solo.cli", *verb]))
        monkeypatch.setattr(module, "run", lambda args: 0)
        assert main(words) == 0, line


def test_the_config_for_weights_of_adelaidet_is_one(tmp_path):
    (block,) = [b for b in blocks_of(ROOT / "docs" / "migration.md") if b.title == "adelaidet.yaml"]
    (tmp_path / block.title).write_text(block.text)
    cfg = load_config(tmp_path / block.title)
    assert cfg.INPUT.FORMAT == "BGR" and cfg.MODEL.RESNETS.STRIDE_IN_1X1
    assert cfg.MODEL.PIXEL_MEAN == get_detectron2_cfg().MODEL.PIXEL_MEAN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page):
    assert "@@" not in page.read_text(encoding="utf-8")
