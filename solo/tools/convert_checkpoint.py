r"""Convert a checkpoint of another SOLO implementation to ours, or any to mmdetection's layout.

Those of the official code, mmdetection 3.x and AdelaiDet are told by the names in them. Training
and evaluation load them as they are, too.

example: python -m solo.tools.convert_checkpoint SOLOv2_R50_3x.pth solov2.pth \
    --config-file configs/coco/solov2_R_50_FPN_3x.yaml
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.modeling import build_model

from solo.checkpoint.comparison import ConversionReport, compare
from solo.checkpoint.lineages import (
    Converted,
    Lineage,
    expected_preprocessing,
    part_of,
    to_mmdet,
    to_solo,
)
from solo.checkpoint.preprocessing import Preprocessing
from solo.checkpoint.rules import is_ours
from solo.checkpoint.storage import read_checkpoint, write_checkpoint
from solo.config.load import load_config
from solo.config.user_modules import add_import
from solo.errors import UserError, exit_on
from solo.tools._command import build_parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("convert_checkpoint", __doc__)
    parser.add_argument("source", type=Path, metavar="IN", help="checkpoint to read")
    parser.add_argument("target", type=Path, metavar="OUT", help="checkpoint to write")
    parser.add_argument(
        "--to", choices=("solo", "mmdet"), default="solo", help="layout of OUT (default: solo)"
    )
    parser.add_argument(
        "--config-file",
        default="",
        metavar="FILE",
        help="check that the weights are all that the model of this config needs",
    )
    add_import(parser)
    parser.add_argument(
        "--trained-otherwise",
        dest="as_published",
        action="store_false",
        help="do not write which colour order, mean, std and strides the weights expect: for weights "
        "that were not trained as the published ones of their lineage were",
    )
    args = vars(parser.parse_args(argv))
    del args["imports"]
    with exit_on():
        print(convert(**args))


def convert(
    source: Path,
    target: Path,
    *,
    to: str = "solo",
    config_file: str = "",
    as_published: bool = True,
) -> str:
    """Convert a checkpoint.

    Args:
        source: A file of any lineage.
        target: The file to write; replaced if it exists.
        to: "solo" or "mmdet".
        config_file: A config whose model the weights are compared with.
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
    report = _report(converted, config_file)
    if config_file and not report.fits:
        raise UserError(f"{source} does not fit the model of {config_file}.\n{report}")
    preprocessing = Preprocessing()
    if as_published and converted.lineage is Lineage.SOLO:
        preprocessing = Preprocessing.of_checkpoint(content, f"The checkpoint {source}")
    elif as_published:
        preprocessing = expected_preprocessing(converted.lineage)
    if to == "mmdet":
        output: dict[str, Any] = {"meta": {}, "state_dict": to_mmdet(converted.weights)}
    else:
        output = {"model": converted.weights, "preprocessing": preprocessing.to_dict()}
        output["class_names"] = list(content.get("class_names", []))
    write_checkpoint(output, target)
    return f"{report}\nthe weights expect: {str(preprocessing) or 'not known'}\nwritten: {target}"


def _report(converted: Converted, config_file: str) -> ConversionReport:
    source, ours = converted.lineage.value, converted.lineage is Lineage.SOLO
    if config_file:
        model = part_of(converted.lineage, _model_weights(config_file))
        return compare(converted.weights, model, source=source, dropped=converted.dropped)
    keys = list(converted.weights)
    return ConversionReport(
        source=source,
        matched=tuple(key for key in keys if ours or is_ours(key)),
        unexpected=tuple(key for key in keys if not (ours or is_ours(key))),
        dropped=converted.dropped,
    )


def _model_weights(config_file: str) -> dict[str, Any]:
    # Names and shapes are all that is needed.
    cfg = load_config(config_file, device="meta")
    with torch.device("meta"):
        return build_model(cfg).state_dict()


if __name__ == "__main__":
    main()
