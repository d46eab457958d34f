"""Config files looked at before they are merged: a stranger's may run in circles, or fill the memory."""

import math
import os
from collections.abc import Iterator

import yaml
from detectron2.utils.file_io import PathManager

from solo.config.names import PREFIX, named_config
from solo.errors import UserError

# The largest config of ours has 500 values. A file of ten lines may stand for a billion.
_MOST_VALUES = 100_000


def check_file(path: str, above: tuple[str, ...] = ()) -> None:
    """Look at a yaml file and at those that it is based on; nothing of them is built.

    Args:
        path: A file, or an address that detectron2's PathManager knows.
        above: The files that led to this one.

    Raises:
        OSError: If one cannot be read.
        UserError: If one is based on itself, or its aliases stand for too much.
        yaml.YAMLError: If one is no yaml.
    """
    is_local = "://" not in path
    if above and is_local and not os.path.isfile(path):
        raise FileNotFoundError(
            f"The config file {above[-1]} is based on {path:.200}, which is no file: correct _BASE_."
        )
    path = os.path.realpath(path) if is_local else path
    if path in above:
        raise UserError(f"The config file {path} is based on itself: _BASE_ leads back to it.")
    with PathManager.open(path) as file:
        root = yaml.compose(file, yaml.SafeLoader)
    if root is None:
        return
    if _count_values(root, {}) > _MOST_VALUES:
        raise UserError(
            f"The config file {path} stands for more than {_MOST_VALUES:,} values, which its "
            "aliases repeat: write out what it needs."
        )
    for base in _bases(root):
        check_file(_place(base, path), (*above, path))


def _count_values(node: yaml.Node, known: dict[yaml.Node, float]) -> float:
    """Return for how many values a node stands; without end for one that holds itself."""
    if node not in known:
        known[node] = math.inf
        known[node] = 1 + sum(_count_values(child, known) for child in _children(node))
    return known[node]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _bases(root: yaml.Node) -> Iterator[str]:
    """Yield what the key _BASE_ names, as far as it is text."""
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "_BASE_":
            for node in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if node.tag == "tag:yaml.org,2002:str":
                    yield node.value


def _place(base: str, path: str) -> str:
    """Return where the base of a file lies, by the rules of fvcore; of ours, by its name."""
    if base.startswith(PREFIX):
        return str(named_config(base))
    base = os.path.expanduser(base)
    return base if "://" in base else os.path.join(os.path.dirname(path), base)
