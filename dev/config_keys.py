"""The keys that solo adds, read from the sources of solo/config, as a page of tables."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Key(NamedTuple):
    """A key, its default as it is written, and the comment above or beside it.

    A comment alone, with no default, is about the node of that name.
    """

    name: str
    default: str
    comment: str

    @property
    def node(self) -> str:
        """The name of the node that it is in."""
        return self.name.rpartition(".")[0] if self.default else self.name


class Source(NamedTuple):
    """A file: its lines, and its functions, which set the attributes of one config node each or call others."""

    lines: list[str]
    functions: dict[str, ast.FunctionDef]


def all_keys(folder: Path) -> list[Key]:
    """Return the keys of solo/config in the order of their nodes, and within a node in that of the sources."""
    sources = [_source(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))]
    keys = _keys_of("add_solo_config", "", sources)
    return sorted(keys, key=lambda key: key.node)


def _source(text: str) -> Source:
    body = ast.parse(text).body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    return Source(text.splitlines(), functions)


def markdown_page(keys: list[Key]) -> str:
    """Return a page with a table for each node of the config."""
    parts = [
        "# Config keys\n",
        "What solo adds to detectron2's keys, with its defaults; those of detectron2 itself keep their meaning. The "
        "page is made from `solo/config`. A key is set in a yaml, or at the end of a command: "
        "`solo train --config cats.yaml SOLVER.EPOCHS 50`.",
    ]
    for node in sorted({key.node for key in keys}):
        inside = [key for key in keys if key.node == node and key.default]
        about = [key.comment for key in keys if key.node == node and not key.default]
        if inside:
            parts += [
                f"\n## {node or 'At the top'}\n",
                *about,
                "\n| key | default | |\n|---|---|---|",
            ]
            parts += map(_row, inside)
    return "\n".join(parts) + "\n"


def _row(key: Key) -> str:
    name, comment = key.name.rpartition(".")[2], key.comment.replace("|", "\\|")
    return f"| `{name}` | `{key.default}` | {comment} |"


def _keys_of(function: str, place: str, sources: list[Source]) -> Iterator[Key]:
    """Yield the keys that a function sets; where several files have one of the name, the first one's."""
    source = next(source for source in sources if function in source.functions)
    nearest = [source, *sources]
    for statement in source.functions[function].body:
        if not isinstance(statement, ast.Assign | ast.Expr):
            continue
        value = statement.value
        called = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
        is_known = any(called in other.functions for other in sources)
        if isinstance(statement, ast.Assign):
            name = f"{place}.{_below_config(ast.unparse(statement.targets[0]))}".strip(".")
            if not is_known:
                yield from _set(name, value, _comment_at(source.lines, statement.lineno - 1))
        elif is_known and isinstance(value, ast.Call):
            name = f"{place}.{_below_config(ast.unparse(value.args[0]))}".strip(".")
        if is_known:
            yield from _keys_of(called, name, nearest)


def _set(name: str, value: ast.expr, comment: str) -> Iterator[Key]:
    """Yield the keys of an assignment: one, or those of a new node."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "CfgNode"):
        yield Key(name, ast.unparse(value), comment)
        return
    if comment:
        yield Key(name, "", comment)
    if value.args and isinstance(value.args[0], ast.Dict):
        for key, inner in zip(value.args[0].keys, value.args[0].values, strict=True):
            assert isinstance(key, ast.Constant)
            yield Key(f"{name}.{key.value}", ast.unparse(inner), "")


def _below_config(text: str) -> str:
    """Return "MODEL.SOLO" of "cfg.MODEL.SOLO" and "" of "cfg"."""
    return text.partition(".")[2]


def _comment_at(lines: list[str], index: int) -> str:
    """Return the comment beside a line, or the ones right above it."""
    if beside := re.search(r"  # (.*)", lines[index]):
        return beside[1]
    above: list[str] = []
    while (line := lines[index - 1].strip()).startswith("#"):
        above.insert(0, line.removeprefix("#").strip())
        index -= 1
    return " ".join(above)
