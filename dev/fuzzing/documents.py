"""Documents in COCO's format: checked, trained on and evaluated, each as the commands do it."""

import copy
import json
import logging
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
import torch
from detectron2.structures import Boxes, Instances

from fuzzing.changes import change_bytes, change_value
from fuzzing.dialects import DIALECTS, valid_document
from fuzzing.kind import Kind
from fuzzing.outcomes import Outcome, Verdict, attempt, errors_among, worst, wrong
from solo.config import get_cfg
from solo.data import SOLODatasetMapper, build_test_loader, load_records
from solo.data.formats.coco_document import check_coco_json
from solo.data.formats.coco_json import register_coco_json
from solo.evaluation import build_evaluator
from solo.evaluation.loop import run_evaluation

_DATASET = "fuzzed"
# Of the changes, by section; "" stands for the document itself.
_SHARES = {"annotations": 12, "images": 4, "categories": 2, "": 1}
# In percent; what was found is the truth itself.
_PERFECT = 99.0


def has_errors(path: Path, images: Path) -> bool:
    """Return whether the check finds something to mend."""
    return bool(errors_among(check_coco_json(path, images)))


class Documents(Kind):
    """Twelve objects in six images, as polygons and both forms of RLE, with one to three changes."""

    name, cases = "documents", 10_000

    def __init__(self, folder: Path) -> None:
        """Write the images."""
        self.images = folder / "images"
        self.images.mkdir()
        self.document = valid_document(self.images)
        self.cfg = cfg = get_cfg()
        cfg.MODEL.DEVICE, cfg.DATALOADER.NUM_WORKERS = "cpu", 0
        cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (48,), 96
        cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 48, 96
        self.as_trained = SOLODatasetMapper(cfg, True)
        # Nothing is moved: what comes out is the truth.
        self.as_is = SOLODatasetMapper(
            is_train=True,
            augmentations=[],
            image_format="BGR",
            use_instance_mask=True,
            instance_mask_format="bitmask",
            recompute_boxes=True,
        )

    def write(self, rng: random.Random, folder: Path) -> Path:
        """Write a document, in a third of the cases as another tool would, with one to three changes."""
        document = copy.deepcopy(self.document)
        if rng.random() < 0.3:
            rng.choice(DIALECTS)(document)
        changes = rng.choice((1, 1, 2, 3))
        in_text = rng.random() < 0.2
        for _ in range(changes - in_text):
            part = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
            section = document.get(part)
            change_value(section if section and isinstance(section, list) else document, rng)
        data = json.dumps(document).encode()
        path = folder / "fuzzed.json"
        path.write_bytes(rng.choice(_TEXT_CHANGES)(data, rng) if in_text else data)
        return path

    def run(self, rng: random.Random, path: Path) -> Outcome:
        """Check, load, map and evaluate; what is clean has to pass all of it."""
        names = (path.name, str(self.images))
        warned = _Warned()
        logging.getLogger("solo").addHandler(warned)
        checked, errors = attempt(names, has_errors, path, self.images)
        is_clean = checked.verdict is Verdict.OK and not errors
        truths: dict[Any, Instances] = {}
        trained = list(self._train(path, names, truths))
        if worst(trained).verdict is not Verdict.OK:
            truths.clear()
        outcomes = [checked, *trained, *self._evaluate(rng, names, truths)]
        if checked.verdict is Verdict.OK and not warned.any:
            outcomes.append(_left_out(path))
        outcome = worst(outcomes)
        if is_clean and outcome.verdict not in (Verdict.OK, Verdict.WRONG):
            return outcome._replace(verdict=Verdict.CLEAN)
        return outcome

    def _train(
        self, path: Path, names: tuple[str, ...], truths: dict[Any, Instances]
    ) -> Iterator[Outcome]:
        cfg = self.cfg.clone()
        cfg.DATASETS.COCO_JSON = [[_DATASET, str(path), str(self.images)]]
        register_coco_json(cfg)
        loaded, records = attempt(names, load_records, _DATASET)
        yield loaded
        for record in records or ():
            yield attempt(names, self.as_trained, record)[0]
            outcome, item = attempt(names, self.as_is, record)
            yield outcome
            if item is not None:
                truths[record["image_id"]] = item["instances"]

    def _evaluate(
        self, rng: random.Random, names: tuple[str, ...], truths: dict[Any, Instances]
    ) -> Iterator[Outcome]:
        def evaluate() -> Any:
            batches = build_test_loader(self.cfg, _DATASET)
            find = _finder(truths, rng)
            return run_evaluation(find, batches, build_evaluator(_DATASET, None), name=_DATASET)

        warned = _Warned()  # as of an object without a pixel, which nothing can find
        logging.getLogger("solo.evaluation").addHandler(warned)
        outcome, results = attempt(names, evaluate)
        yield outcome
        if results and any(map(len, truths.values())) and not warned.any:
            found = results["segm"]["AP50"]
            if not found > _PERFECT:
                yield wrong("AP50 of the truth itself is low", "evaluation", f"{found:.0f}")


class _Warned(logging.Handler):
    """Whether a warning was given."""

    any = False

    def emit(self, record: logging.LogRecord) -> None:
        self.any |= record.levelno >= logging.WARNING


def _left_out(path: Path) -> Outcome:
    """Compare the number of annotations with what was loaded of them."""
    _, records = attempt((), load_records, _DATASET)
    annotations = json.loads(path.read_text("utf-8-sig")).get("annotations")
    there = len(annotations) if isinstance(annotations, list) else 0
    left = there - sum(len(record.get("annotations", ())) for record in records or ())
    if not records or not left:
        return Outcome(Verdict.OK)
    return wrong("annotations left out without a word", "loader", f"{left} of {there}")


def _finder(
    truths: dict[Any, Instances], rng: random.Random
) -> Callable[[list[dict[str, Any]]], list[dict[str, Instances]]]:
    """Find what is there, and with low scores what is not."""

    def find(batch: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        return [{"instances": _found(item, truths.get(item["image_id"]), rng)} for item in batch]

    return find


def _found(item: dict[str, Any], truth: Instances | None, rng: random.Random) -> Instances:
    size = int(item["height"]), int(item["width"])
    noise = torch.zeros(2, *size, dtype=torch.bool)
    for mask in noise:
        top, left = rng.randrange(size[0]), rng.randrange(size[1])
        mask[top : top + 20, left : left + 20] = True
    masks, classes, scores = noise, torch.tensor([0, 1]), torch.tensor([0.1, 0.2])
    if truth is not None and truth.image_size == size:
        masks = torch.cat([truth.gt_masks.tensor, masks])
        classes = torch.cat([truth.gt_classes, classes])
        scores = torch.cat([torch.linspace(0.9, 0.99, len(truth)), scores])
    rles = coco_mask.encode(np.asfortranarray(masks.permute(1, 2, 0).byte().numpy()))
    boxes = torch.from_numpy(coco_mask.toBbox(rles)).float()
    boxes[:, 2:] += boxes[:, :2]
    fields = {"pred_boxes": Boxes(boxes), "pred_masks": masks}
    return Instances(size, scores=scores, pred_classes=classes, **fields)


def _in_place_of_a_number(data: bytes, rng: random.Random, text: bytes) -> bytes:
    numbers = [match.span() for match in re.finditer(rb"-?\d[\d.]*", data)]
    start, end = rng.choice(numbers or [(0, 0)])
    return data[:start] + text + data[end:]


_TEXT_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda data, rng: b"\xef\xbb\xbf" + data,
    lambda data, rng: data[: rng.randrange(len(data))],
    change_bytes,
    change_bytes,
    lambda data, rng: data.replace(b"{", b'{"id": 7, "name": "again", ', rng.randrange(1, 9)),
    lambda data, rng: _in_place_of_a_number(data, rng, b"[" * 100_000 + b"]" * 100_000),
    lambda data, rng: _in_place_of_a_number(data, rng, b"9" * rng.choice((30, 400, 5000))),
    lambda data, rng: _in_place_of_a_number(
        data, rng, rng.choice((b"1e999", b"-0", b"0x1F", b"1.e"))
    ),
    lambda data, rng: data.decode(errors="replace").encode(rng.choice(("utf-16", "utf-8"))) + b" x",
    lambda data, rng: data.decode().encode("utf-16"),
    lambda data, rng: data.replace(b"class", "classé".encode("latin-1")),
)
