"""Measure the AP of a trained model, or of an exported file, on a data set.

The data set is that of the config, a registered one, or annotations of your own in any format that training reads.
Where model and data number their classes otherwise, the names decide. Images are seen whole or in tiles.

example: solo eval --model output/quickstart --annotations cats/val.json --images cats/images
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from solo.cli._model import OPENVINO, Model, add_model, chosen_model
from solo.cli._own_data import add_data, find_parts
from solo.cli._parser import Parser, add_annotations, add_options, add_tiles, add_verbose
from solo.errors import UserError
from solo.files import check_folder

if TYPE_CHECKING:
    from solo.inference import Predictor


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser)
    parser.add_argument(
        "--dataset", default="", metavar="NAME", help="registered; default: DATASETS.TEST"
    )
    add_data(parser, "its val part, or all of it if it has one part")
    add_annotations(parser)
    add_tiles(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the predictions in COCO's format"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers as json; -: print it")
    add_verbose(parser)
    parser.add_argument(
        "--num-images", type=int, metavar="N", help="N images, spread evenly; default: all"
    )
    parser.add_argument(
        "--boundary", action="store_true", help="AP of boundaries, too: how well outlines fit"
    )
    add_options(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluate, print the tables, and write what is asked for."""
    from solo.evaluation.result_tables import result_tables
    from solo.evaluation.results import write_results
    from solo.inference.datasets import PREDICTIONS, evaluate_predictor
    from solo.training.record import versions
    from solo.training.spared_logs import setup_logs

    # With "-" what people read makes way for what machines do.
    out = sys.stderr if args.json == "-" else sys.stdout
    model = chosen_model(args, args.opts)
    dataset = _dataset(args, model)
    _check_outputs(args, dataset)
    setup_logs(args.output, verbose=args.verbose, printed=out)
    results = evaluate_predictor(
        _predictor(args, model),
        dataset,
        output_dir=args.output and str(args.output),
        num_images=args.num_images,
        boundary=args.boundary,
    )
    print(f"{model.name} on {dataset}, AP in percent\n", file=out)
    none = f"{dataset} has no objects to compare with: there is no AP."
    tables = result_tables(results, verbose=args.verbose, elsewhere="by -v and --json")
    print(tables or none, file=out)
    if args.output:
        predictions = "predictions and " * (args.output / PREDICTIONS).is_file()
        print(f"\nwritten: {predictions}log.txt in {args.output}", file=out)
    if args.json:
        named = {"name": model.name, "config": model.config_file, "weights": model.weights}
        if model.onnx:
            runtime = "openvino" if model.onnx.lower().endswith(OPENVINO) else "onnx"
            named = {"name": model.name, runtime: model.onnx}
        write_results(
            results,
            args.json,
            model=named,
            dataset=dataset,
            num_images=args.num_images,
            versions=versions(),
        )
    if args.json and args.json != "-":
        print(f"written: {args.json}")


def _check_outputs(args: argparse.Namespace, dataset: str) -> None:
    """Stop before the work where its results could not be written, or take the place of annotations."""
    if args.output:
        check_folder(args.output)
    if args.json and args.json != "-":
        if Path(args.json).is_dir():
            raise UserError(f"--json {args.json} is a folder: give the name of a file.")
        is_file = args.annotations or args.data  # and its path is its name
        if is_file and Path(args.json).resolve() == Path(dataset).resolve():
            raise UserError(f"{args.json} holds the annotations: write to another file.")
        check_folder(Path(args.json).parent)


def _dataset(args: argparse.Namespace, model: Model) -> str:
    """Return the name of the data set, which is registered now, but for one that the config has to register."""
    from solo.config.load import inference_config
    from solo.data.formats.coco_json import register_annotations

    if args.data:
        parts = find_parts(args)
        part = parts.val or parts.train
        return register_annotations(part.annotations, part.images, part.form)
    if bool(args.annotations) != bool(args.images):
        raise UserError("--annotations PATH and --images DIR go together.")
    if args.annotations and args.dataset:
        raise UserError("--dataset and --annotations name two data sets: give one of them.")
    if args.annotations:
        return register_annotations(args.annotations, args.images, args.format)
    if args.dataset:
        return str(args.dataset)
    if model.onnx:
        raise UserError(
            "An exported model names no data set: give --data PATH, --annotations PATH and --images "
            "DIR, or --dataset NAME."
        )
    names = inference_config(model.config_file, model.weights, args.device, args.opts).DATASETS.TEST
    if len(names) != 1:
        found = f"names {', '.join(names)}" if names else "is empty"
        raise UserError(f"DATASETS.TEST of {model.config_file} {found}: name one with --dataset.")
    return str(names[0])


def _predictor(args: argparse.Namespace, model: Model) -> "Predictor":
    from solo.inference.opening import open_predictor

    files = (model.config_file, model.weights, model.onnx)
    return open_predictor(*files, device=args.device, opts=args.opts, tiles=args.tiles)
