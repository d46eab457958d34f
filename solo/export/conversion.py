"""A checkpoint of another SOLO implementation turned into ours, or any into mmdetection's layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.modeling import build_model

from solo.checkpoint.beside_weights import BEST_F1, CATEGORY_IDS
from solo.checkpoint.class_rows import carried_class_names
from solo.checkpoint.comparison import ConversionReport, compare, listed
from solo.checkpoint.lineages import (
    Converted,
    Lineage,
    expected_preprocessing,
    part_of,
    to_mmdet,
    to_solo,
)
from solo.checkpoint.preprocessing import Preprocessing
from solo.checkpoint.rules import is_ours, is_training_only
from solo.checkpoint.storage import read_checkpoint, write_checkpoint
from solo.config.load import load_config
from solo.errors import UserError


def convert(
    source: Path,
    target: Path,
    *,
    to: str = "solo",
    config_file: str = "",
    opts: Sequence[str] = (),
    as_published: bool = True,
) -> str:
    """Convert a checkpoint.

    Args:
        source: A file of any lineage.
        target: The file to write; replaced if it exists.
        to: "solo" or "mmdet".
        config_file: A config whose model the weights are compared with.
        opts: KEY VALUE ..., laid over it.
        as_published: Whether the weights expect the images that those of their lineage do; if not,
            nothing about the images is written.

    Returns:
        What to tell the user: the report, and what images the weights expect.

    Raises:
        UserError: If the layout is not known, or the weights do not fit the model of the config.
        OSError: If `source` cannot be read or `target` not written.
    """
    content = read_checkpoint(source)
    converted = to_solo(content)
    report = _report(converted, config_file, opts)
    if config_file and not report.fits:
        raise UserError(f"{source} does not fit the model of {config_file}.\n{report}")
    preprocessing = Preprocessing()
    if as_published and converted.lineage is Lineage.SOLO:
        preprocessing = Preprocessing.of_checkpoint(content, f"The checkpoint {source}")
    elif as_published:
        preprocessing = expected_preprocessing(converted.lineage)
    names, left_out = carried_class_names(content), ""
    if to == "mmdet":
        if unknown := [*filter(is_training_only, converted.weights)]:
            left_out = f"left out, since only training runs it: {listed(unknown)}\n"
        meta = {"dataset_meta": {"classes": names}} if names else {}
        output: dict[str, Any] = {"meta": meta, "state_dict": to_mmdet(converted.weights)}
    else:
        output = {"model": converted.weights, "preprocessing": preprocessing.to_dict()}
        output["class_names"] = names
        output |= {key: content[key] for key in (BEST_F1, CATEGORY_IDS) if key in content}
    write_checkpoint(output, target)
    return f"{report}\n{left_out}the weights expect: {str(preprocessing) or 'not known'}\nwritten: {target}"


def _report(converted: Converted, config_file: str, opts: Sequence[str]) -> ConversionReport:
    source, ours = converted.lineage.value, converted.lineage is Lineage.SOLO
    if config_file:
        model = part_of(converted.lineage, _model_weights(config_file, opts))
        return compare(converted.weights, model, source=source, dropped=converted.dropped)
    keys = list(converted.weights)
    return ConversionReport(
        source=source,
        matched=tuple(key for key in keys if ours or is_ours(key)),
        unexpected=tuple(key for key in keys if not (ours or is_ours(key))),
        dropped=converted.dropped,
    )


def _model_weights(config_file: str, opts: Sequence[str]) -> dict[str, Any]:
    # Names and shapes are all that is needed.
    cfg = load_config(config_file, opts, device="meta")
    with torch.device("meta"):
        return build_model(cfg).state_dict()
