"""The keys that solo adds, read from the sources that have their defaults, as a page of tables."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

# Below solo/config/.
SOURCES = ("defaults.py", "loss_keys.py", "input_keys.py", "yolox_keys.py")


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


def config_keys(source: str) -> list[Key]:
    """Return the keys in the order of their nodes, and within a node in that of the source.

    Args:
        source: Text of functions that set the attributes of one config node each, and call others.
    """
    functions = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    lines = source.splitlines()
    keys = [
        key
        for name, place in _calls("add_solo_config", "", functions)
        for key in _keys_of(functions[name], place, lines)
    ]
    return sorted(keys, key=lambda key: key.node)


def _calls(
    name: str, place: str, functions: dict[str, ast.FunctionDef]
) -> Iterator[tuple[str, str]]:
    """Yield a function and all that it calls, directly or not, each with the node that it gets."""
    yield name, place
    for call in ast.walk(functions[name]):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in functions:
            given = f"{place}.{_below_config(ast.unparse(call.args[0]))}".strip(".")
            yield from _calls(ast.unparse(call.func), given, functions)


def markdown_page(keys: list[Key]) -> str:
    """Return a page with a table for each node of the config."""
    parts = [
        "# Config keys\n",
        "What solo adds to detectron2's keys, with its defaults; those of detectron2 itself keep their meaning. The "
        "page is made from `solo/config/`. A key is set in a yaml, or at the end of a command: "
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


def _keys_of(function: ast.FunctionDef, place: str, lines: list[str]) -> Iterator[Key]:
    for statement in function.body:
        if not isinstance(statement, ast.Assign):
            continue
        target = _below_config(ast.unparse(statement.targets[0]))
        name = f"{place}.{target}".strip(".")
        comment = _comment_at(lines, statement.lineno - 1)
        value = statement.value
        if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "CfgNode"):
            yield Key(name, ast.unparse(value), comment)
            continue
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
