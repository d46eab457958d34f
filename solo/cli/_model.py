"""Which model a verb runs: by name, as the folder of a run, as a config and a checkpoint, or exported."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from solo.cli._parser import MisuseError, Parser, add_config_name, add_device
from solo.errors import UserError, shortened

OPENVINO = ".xml"  # the file that is named of the two
_EXPORTED = (".onnx", OPENVINO)
# What OpenVINO asks for when it runs the model, and not when it is exported.
_AMP = "TEST.AMP.ENABLED"


class Model(NamedTuple):
    """A model that the flags name: a config and a checkpoint, or an exported file."""

    config_file: str
    weights: str
    onnx: str = ""
    device: str = ""
    name: str = ""  # for people


def add_model(parser: Parser, *, exported: bool = True, device: bool = True) -> None:
    """Add --model, --config and --weights; --onnx where exported files will do; and --device."""
    kinds = parser.add_argument_group("model").add_mutually_exclusive_group()
    kinds.add_argument(
        "--model",
        default="",
        metavar="NAME",
        help=f"a name of `solo zoo`, or the folder of a run{', or an .onnx or .xml file' * exported}; "
        "default: a light SOLOv2 of COCO, R-50 at 448 pixels",
    )
    add_config_name(kinds, "with --weights")
    if exported:
        kinds.add_argument("--onnx", default="", metavar="FILE", help="an exported model")
    parser.add_argument(
        "--weights",
        default="",
        metavar="FILE",
        help="checkpoint; default: of --model the published one, or the last one of the run",
    )
    if device:
        add_device(parser)


def chosen_model(args: argparse.Namespace, opts: Sequence[str] = ()) -> Model:
    """Return the model that the flags of :func:`add_model` name.

    Args:
        args: Of the parser.
        opts: KEY VALUE ..., which an exported model does not take.

    Raises:
        MisuseError: The flags do not go together.
        UserError: A run has a config that is wrong.
        OSError: A run has no config or checkpoint.
    """
    exported, device = getattr(args, "onnx", ""), getattr(args, "device", "")
    if file := _exported_file(args.model):
        if "onnx" not in args:
            raise MisuseError(
                f"--model {args.model} is exported already: name the run or the model that it was made of."
            )
        exported = file
    if len(opts) % 2:
        raise MisuseError(f"KEY VALUE come in pairs, and {opts[-1]!r} is alone.")
    if exported:
        flag = "--onnx" if getattr(args, "onnx", "") else "--model"
        allowed = {_AMP} if exported.lower().endswith(OPENVINO) else set()
        if args.weights or device or {*opts[::2]} - allowed:
            spared = f", but for {_AMP}" if allowed else ""
            raise MisuseError(
                f"{flag} {exported} holds weights and config: leave out --weights, --device and KEY VALUE{spared}."
            )
        return Model("", "", onnx=exported, name=Path(exported).stem)
    if args.config_file:
        if not (args.weights or "MODEL.WEIGHTS" in opts or Path(args.config_file).is_file()):
            _check_weights(args.config_file)
        return Model(args.config_file, args.weights, "", device, Path(args.config_file).stem)
    from solo.model_zoo import DEFAULT_MODEL

    name = args.model or DEFAULT_MODEL
    if Path(name).is_dir():
        from solo.checkpoint.run_files import model_of_run

        given = Path(args.weights) if args.weights else None
        config_file, weights = model_of_run(Path(name), given)
        return Model(str(config_file), str(weights), "", device, Path(name).name)
    return Model(name, args.weights or _published(name), "", device, name)


def _exported_file(name: str) -> str:
    """Return the exported file that --model names, itself or the folder of an export; empty: none."""
    if name.lower().endswith(_EXPORTED):
        return name
    if not name or not Path(name).is_dir() or Path(name, "config.yaml").exists():
        return ""
    files = [str(file) for suffix in _EXPORTED if (file := Path(name, f"model{suffix}")).is_file()]
    if len(files) > 1:
        raise MisuseError(f"--model {name} holds {' and '.join(files)}: name one of them.")
    return "".join(files)


def _check_weights(name: str) -> None:
    """Raise a MisuseError where --config NAME is given alone, and there are weights of that name."""
    from solo.checkpoint.published import PUBLISHED
    from solo.config.names import plain_name

    if plain_name(name) in PUBLISHED:
        raise MisuseError(
            f"--config {name} needs --weights FILE; --model {name} takes the published weights."
        )


def _published(name: str) -> str:
    """Return the address of the weights of a name; say what --model takes where it is none."""
    from solo.checkpoint.published import PUBLISHED
    from solo.config.names import config_names, meant, plain_name
    from solo.model_zoo import weights_address

    if plain_name(name) in {*PUBLISHED, *config_names()}:
        return weights_address(name)
    if Path(name).is_file():
        raise UserError(
            f"--model takes a name or the folder of a run, and {name} is a file: give a yaml file as "
            "--config, and a checkpoint as --weights."
        )
    models = [known for known, entry in PUBLISHED.items() if not entry.is_backbone]
    runs = [str(file.parent) for file in Path(name).parent.glob("*/config.yaml")]
    raise UserError(
        f"There is neither a model of the name {shortened(name)} nor a folder{meant(name, models + runs)}"
    )
