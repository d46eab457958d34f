"""The table of the keys that solo adds, read from the source of solo/config/defaults.py."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple


class Key(NamedTuple):
    """A key, its default as it is written, and the comment above or beside it."""

    name: str
    default: str
    comment: str


def config_keys(source: str) -> list[Key]:
    """Return the keys in the order of their names.

    Args:
        source: Text of functions that set the attributes of one config node each; one of them calls the others.
    """
    functions = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    places = {"add_solo_config": ""}
    for call in ast.walk(functions["add_solo_config"]):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in functions:
            places[ast.unparse(call.func)] = _below_config(ast.unparse(call.args[0]))
    lines = source.splitlines()
    return sorted(
        key for name, place in places.items() for key in _keys_of(functions[name], place, lines)
    )


def markdown_page(keys: list[Key]) -> str:
    """Return a page with a table for each node of the config."""
    parts = [
        "# Config keys\n",
        "What solo adds to detectron2's keys, with its defaults; those of detectron2 itself keep their meaning. The "
        "page is made from `solo/config/defaults.py`. A key is set in a yaml, or at the end of a command: "
        "`solo train --config cats.yaml SOLVER.EPOCHS 50`.\n",
    ]
    nodes: dict[str, list[Key]] = {}
    for key in keys:
        nodes.setdefault(key.name.rpartition(".")[0] or "at the top", []).append(key)
    for node, inside in nodes.items():
        parts.append(f"\n## {node}\n\n| key | default | |\n|---|---|---|")
        for key in inside:
            name, comment = key.name.rpartition(".")[2], key.comment.replace("|", "\\|")
            parts.append(f"| `{name}` | `{key.default}` | {comment} |")
    return "\n".join(parts) + "\n"


def _keys_of(function: ast.FunctionDef, place: str, lines: list[str]) -> Iterator[Key]:
    comment = ""
    for statement in function.body:
        if not isinstance(statement, ast.Assign):
            continue
        target = _below_config(ast.unparse(statement.targets[0]))
        name = f"{place}.{target}".strip(".")
        # Keys that follow each other without a comment share the one above them.
        comment = _comment_at(lines, statement.lineno - 1) or comment
        value = statement.value
        if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "CfgNode"):
            yield Key(name, ast.unparse(value), comment)
        elif value.args and isinstance(value.args[0], ast.Dict):
            for key, inner in zip(value.args[0].keys, value.args[0].values, strict=True):
                assert isinstance(key, ast.Constant)
                yield Key(f"{name}.{key.value}", ast.unparse(inner), comment)


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
    return " ".join(above).removeprefix("... ")
