"""Choices of settings: made one after the other over a config, and written as a small yaml with their reasons."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from detectron2.config import CfgNode

from solo.config.merge import merge_options

_WIDTH = 100
_INDENT = "  "


@dataclass(frozen=True)
class Choice:
    """Settings, KEY -> value, and why."""

    reason: str
    settings: dict[str, Any]


@dataclass
class Draft:
    """A config that choices are laid over; what the user gives is never overridden.

    Attributes:
        cfg: With the options and all choices so far.
        base: As it was before.
        options: KEY VALUE KEY VALUE ... of the user.
        choices: In their order.
    """

    cfg: CfgNode
    options: Sequence[str] = ()
    choices: list[Choice] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Lay the options over the config."""
        self.base = self.cfg.clone()
        merge_options(self.cfg, self.options)
        self._given = set(self.options[::2])

    def choose(self, reason: str, **settings: Any) -> None:
        """Choose settings, their dots written as `__`, but for those that the user gives.

        Without a setting it is a remark.
        """
        named = {name.replace("__", "."): value for name, value in settings.items()}
        mine = {key: value for key, value in named.items() if key not in self._given}
        if named and not mine:
            return
        for key, value in mine.items():
            self.cfg.merge_from_list([key, value])
        self.choices.append(Choice(_in_one_line(reason), mine))

    def as_yaml(self, head: str, base: str) -> str:
        """Return the choices as a yaml file on top of another, with a comment at its head."""
        given = {key: _value(self.cfg, key) for key in self.options[::2]}
        choices = [*self.choices, *([Choice("as given", given)] if given else [])]
        remarks = [choice.reason for choice in choices if not choice.settings]
        tree: dict[str, Any] = {}
        for choice in choices:
            for key, value in choice.settings.items():
                *parents, name = key.split(".")
                node = tree
                for parent in parents:
                    node = node.setdefault(parent, {})
                node[name] = (choice.reason, value)
        lines = [line for text in (head, *remarks) for line in _comment(text, 0)]
        return "\n".join([*lines, *_setting("_BASE_", base, 0), *_lines(tree, 0, {""}), ""])


def _value(cfg: CfgNode, key: str) -> Any:
    node: Any = cfg
    for part in key.split("."):
        node = node[part]
    return node


def _lines(tree: dict[str, Any], depth: int, told: set[str]) -> list[str]:
    """Return a tree of (reason, value) as yaml; each reason once, where it comes first."""
    lines = []
    for name, node in tree.items():
        if isinstance(node, dict):
            lines += [f"{_INDENT * depth}{name}:", *_lines(node, depth + 1, told)]
            continue
        reason, value = node
        if reason not in told:
            told.add(reason)
            lines += _comment(reason, depth)
        lines += _setting(name, value, depth)
    return lines


def _in_one_line(text: str) -> str:
    """Return a text without what ends a line, for yaml too, or moves a cursor: names of others are in it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _comment(text: str, depth: int) -> list[str]:
    indent = f"{_INDENT * depth}# "
    return textwrap.wrap(
        _in_one_line(text), _WIDTH, initial_indent=indent, subsequent_indent=indent
    )


def _setting(name: str, value: Any, depth: int) -> list[str]:
    """Return a key and its value; of data sets each in a line of its own."""
    indent, value = _INDENT * depth, _plain(value)
    if name == "FILES":
        return [f"{indent}{name}:", *(f"{indent}{_INDENT}- {_flow(one)}" for one in value)]
    return [f"{indent}{name}: {_flow(value)}"]


def _flow(value: Any) -> str:
    """Return a value in one line."""
    # In a list, as a text alone has another form.
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.strip()[1:-1]


def _plain(value: Any) -> Any:
    """Return lists for tuples, as plain yaml has no others."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
