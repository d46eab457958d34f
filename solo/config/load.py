"""From a file and options to a frozen config; mistakes are named before any work starts."""

import argparse
import difflib
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import yaml
from detectron2.config import CfgNode

from solo.config import get_cfg
from solo.data import resolve_num_classes
from solo.data.formats import register_coco_json
from solo.errors import UserError

logger = logging.getLogger(__name__)


def load_config(args: argparse.Namespace) -> CfgNode:
    """Build the config that the flags ask for; needs no group of processes and logs to no file.

    Args:
        args: With ``config_file``, ``opts`` and, optionally, ``num_gpus``.

    Returns:
        The frozen config.

    Raises:
        UserError: If a file or key that the user gave is wrong.
        OSError: If the file cannot be read, or OUTPUT_DIR cannot be written.
    """
    cfg = get_cfg()
    merge_file(cfg, args.config_file)
    merge_options(cfg, args.opts or [])
    _choose_device(cfg, getattr(args, "num_gpus", 1))
    _check_solver(cfg)
    _check_output_dir(cfg.OUTPUT_DIR)
    register_coco_json(cfg)
    resolve_num_classes(cfg)
    cfg.freeze()
    return cfg


def inference_config(
    config_file: str | Path, weights: str = "", device: str = "", opts: Sequence[str] = ()
) -> CfgNode:
    """Return the config to run a trained model with.

    Args:
        config_file: A yaml file.
        weights: The checkpoint. Empty: MODEL.WEIGHTS of `opts`. The one in the file is not used: it
            is what training starts from, as a rule a backbone without a head.
        device: "cpu", "cuda" or "cuda:1". Empty: cuda where there is one, else cpu.
        opts: KEY VALUE KEY VALUE ..., laid over the file.

    Returns:
        The config, frozen.

    Raises:
        FileNotFoundError: There is no such config file.
        UserError: The file or `opts` hold an unknown key or a value of a wrong type.
    """
    cfg = get_cfg()
    merge_file(cfg, str(config_file))
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    merge_options(cfg, opts)
    register_coco_json(cfg)
    if device:
        cfg.MODEL.DEVICE = device
    if weights:
        cfg.MODEL.WEIGHTS = str(weights)
    cfg.freeze()
    return cfg


def merge_file(cfg: CfgNode, path: str) -> None:
    """Merge a yaml file and the files that it is based on into a config, in place.

    Args:
        cfg: The config.
        path: The file; empty: nothing happens.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If the file is no yaml, or has an unknown key or a value of the wrong type.
    """
    if not path:
        return
    if "://" not in path and not Path(path).is_file():
        raise FileNotFoundError(f"The config file {path} does not exist; check --config-file.")
    try:
        # detectron2 would, by default, run code that a yaml file names.
        cfg.merge_from_file(path, allow_unsafe=False)
    except KeyError as error:
        raise UserError(f"In the config file {path}: {_unknown_key(cfg, error)}") from error
    except yaml.YAMLError as error:
        raise UserError(f"The config file {path} is not plain yaml: {error}") from error
    except (AssertionError, ValueError) as error:
        raise UserError(f"In the config file {path}: {error}") from error
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"The config file {path} has something else where keys with values belong: {error}"
        ) from error


def merge_options(cfg: CfgNode, options: Sequence[str]) -> None:
    """Merge the KEY VALUE pairs of a command line into a config, in place.

    Args:
        cfg: The config.
        options: Keys and values in turn.

    Raises:
        UserError: If a key is unknown or has no value, or a value is of the wrong type.
    """
    if len(options) % 2:
        raise UserError(
            f"The options {' '.join(options)} are not pairs of KEY VALUE: {options[-1]!r} is alone."
        )
    try:
        cfg.merge_from_list(list(options))
    except (AssertionError, KeyError, ValueError) as error:
        raise UserError(f"On the command line: {_unknown_key(cfg, error)}") from error


def _unknown_key(cfg: CfgNode, error: Exception) -> str:
    """Turn yacs' complaint about a key into a sentence that says which key may have been meant."""
    message = str(error.args[0]) if error.args else str(error)
    match = re.search(r"Non-existent (?:config )?key: (\S+)", message)
    if not match:
        return message
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


def _choose_device(cfg: CfgNode, num_gpus: int) -> None:
    if not cfg.MODEL.DEVICE.startswith("cuda"):
        return
    if num_gpus == 0:
        cfg.MODEL.DEVICE = "cpu"
    elif not torch.cuda.is_available():
        # Before the log is set up: a warning is seen nevertheless.
        logger.warning("No GPU was found: MODEL.DEVICE is cpu now, and everything runs there.")
        cfg.MODEL.DEVICE = "cpu"


def _check_solver(cfg: CfgNode) -> None:
    for key in ("MAX_ITER", "IMS_PER_BATCH", "CHECKPOINT_PERIOD"):
        if cfg.SOLVER[key] < 1:
            raise UserError(f"SOLVER.{key} is {cfg.SOLVER[key]}; it has to be 1 at least.")


def _check_output_dir(path: str) -> None:
    """Fail now, rather than at the first checkpoint, where results could not be written."""
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(f"OUTPUT_DIR {path!r} cannot be written: {error}; choose another.") from error
