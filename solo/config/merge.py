"""A file and options laid over a config; an unknown key is told with the one that may be meant."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from detectron2.config import CfgNode
from detectron2.config.compat import guess_version

from solo.config.names import PREFIX, config_path, named_config
from solo.config.yaml_files import check_file
from solo.errors import UserError

# Of a complaint, in characters.
_LONG = 300


def merge_file(cfg: CfgNode, path: str | Path) -> None:
    """Merge a yaml file, if there is a path, and those it is based on into a config, in place.

    Args:
        cfg: The config.
        path: A file, the name of a config that comes with solo, or an address that detectron2's
            PathManager knows.

    Raises:
        FileNotFoundError: If there is no such file or name.
        UserError: If the file is no yaml, or has an unknown key or a value of the wrong type.
    """
    path = str(path)
    if not path:
        return
    if "://" not in path or path.startswith(PREFIX):
        path = str(config_path(path))
    try:
        check_file(path)
        _merge_plain(cfg, path)
    except KeyError as error:
        raise UserError(f"In the config file {path}: {_unknown_key(cfg, error)}") from error
    except yaml.YAMLError as error:
        raise UserError(f"The config file {path} is not plain yaml: {_brief(error)}") from error
    except RecursionError as error:
        raise UserError(f"The config file {path} is nested too deeply for a config.") from error
    except UserError:
        raise
    except (AssertionError, ValueError) as error:
        raise UserError(f"In the config file {path}: {_brief(error)}") from error
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"The config file {path} has something else where keys with values belong: {_brief(error)}"
        ) from error


class _WithNames(CfgNode):
    """A config whose file may be based on configs that come with solo, by name."""

    @classmethod
    def load_yaml_with_base(cls, filename: str, allow_unsafe: bool = False) -> dict[str, Any]:
        """Load a file; fvcore takes a name for a path beside the file that is based on it."""
        _, is_name, name = filename.rpartition(PREFIX)
        filename = str(named_config(name)) if is_name else filename
        return super().load_yaml_with_base(filename, allow_unsafe)


def _merge_plain(cfg: CfgNode, path: str) -> None:
    """Merge a yaml file as detectron2 does, which would, by default, run code that the file names."""
    loaded = CfgNode(_WithNames.load_yaml_with_base(path, allow_unsafe=False))
    _with_floats(cfg, loaded)
    if (loaded.get("VERSION") or guess_version(loaded, path)) == cfg.VERSION:
        cfg.merge_from_other_cfg(loaded)
    else:  # keys of detectron2's first version, which it knows how to bring up to date
        cfg.merge_from_file(path, allow_unsafe=False)


def merge_options(cfg: CfgNode, options: Sequence[str]) -> None:
    """Merge the KEY VALUE pairs of a command line into a config, in place.

    Raises:
        UserError: If a key is unknown or has no value, or a value is of the wrong type.
    """
    if len(options) % 2:
        raise UserError(
            f"The options {' '.join(options)} are not pairs of KEY VALUE: {options[-1]!r} is alone."
        )
    try:
        pairs = zip(options[::2], options[1::2], strict=True)
        cfg.merge_from_list(
            [word for key, value in pairs for word in (key, _option_value(cfg, key, value))]
        )
    except (AssertionError, KeyError, ValueError) as error:
        raise UserError(f"On the command line: {_unknown_key(cfg, error)}") from error


def _with_floats(node: CfgNode, given: dict[str, Any]) -> None:
    """Make floats of whole numbers, and texts of truths, where they belong: `EPOCHS: 50`; in place."""
    for name, value in given.items():
        known = node.get(name)
        if isinstance(known, CfgNode) and isinstance(value, dict):
            _with_floats(known, value)
        elif isinstance(known, float) and type(value) is int:
            given[name] = float(value)
        elif isinstance(known, str) and isinstance(value, bool):
            given[name] = str(value)  # PRETRAINED: True


def _option_value(cfg: CfgNode, key: str, value: Any) -> Any:
    """Return the value of an option, a whole number as a float where that belongs."""
    known: Any = cfg
    for name in key.split("."):
        known = known.get(name) if isinstance(known, CfgNode) else None
    if isinstance(known, str) and value in ("True", "False"):
        return repr(value)  # yacs would make a truth of it
    is_whole = isinstance(known, float) and re.fullmatch(r"[+-]?\d+", str(value))
    return float(value) if is_whole else value


def _brief(complaint: object) -> str:
    """Return what a library complains of in one line; yacs puts whole configs in the middle."""
    line = " ".join(str(complaint).split())
    return line if len(line) <= _LONG else f"{line[: _LONG // 2]} ... {line[-_LONG // 2 :]}"


def _unknown_key(cfg: CfgNode, error: Exception) -> str:
    """Turn yacs' complaint about a key into a sentence that says which key may have been meant."""
    message = str(error.args[0]) if error.args else str(error)
    match = re.search(r"Non-existent (?:config )?key: (\S+)", message)
    if not match:
        return _brief(message)
    key = match.group(1)
    known = sorted(_keys(cfg))
    # The same name elsewhere in the tree is a likelier mistake than a similar path.
    leaf = key.rpartition(".")[2]
    moved = [name for name in known if name.rpartition(".")[2] == leaf]
    similar = difflib.get_close_matches(key, known, n=3)
    suggestions = list(dict.fromkeys([*moved, *similar]))[:3]
    hint = f"; did you mean {' or '.join(suggestions)}?" if suggestions else "."
    return f"there is no key {key}{hint}"


def _keys(node: CfgNode, prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        yield prefix + name
        if isinstance(value, CfgNode):
            yield from _keys(value, f"{prefix}{name}.")
