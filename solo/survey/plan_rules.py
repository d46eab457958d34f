"""The rules by which a config is chosen for data, weights and machine; each says why, with numbers.

Numbers of a config that comes with solo hold for its batch and its length: they are kept in proportion. What
the user gives stands, and what follows from it follows.
"""

import math
from typing import NamedTuple

import numpy as np
from detectron2.config import CfgNode

from solo.data.formats import register_coco_json
from solo.survey.advice import MUCH, misfit
from solo.survey.analysis import analyze_dataset
from solo.survey.choices_file import Draft
from solo.survey.data_entries import DataEntries
from solo.survey.proposal import MIN_PIXELS, enlarged_input, needed_growth
from solo.survey.starting_point import StartingPoint, Trained
from solo.terminal import how_many

# Without a number of epochs, training sees so many images ...
_IMAGES_SEEN = {Trained.ALL: 24_000, Trained.BACKBONE: 48_000, Trained.NOTHING: 72_000}
# ... in so many epochs at least, and at most.
_EPOCHS = {Trained.ALL: (12, 300), Trained.BACKBONE: (24, 300), Trained.NOTHING: (36, 300)}
# A CPU sees so many times fewer.
_LESS_ON_CPU = 4
# An epoch has so many iterations at least, if a batch of two allows it.
_LEAST_BATCHES = 3
_CPU_BATCH = 4
# Memory of a GPU that an image takes in training, in GiB for each million pixels of the input; twice that for
# deep backbones. A part of it is left to others.
_GIB_PER_MEGAPIXEL, _DEEP, _USABLE_MEMORY = 2.5, 100, 0.75
# Of AdamW from scratch, for so many images; and images that batch normalisation needs.
_SCRATCH_RATE, _SCRATCH_BATCH, _LEAST_OF_BN = 0.001, 8, 4
_WARMUP_SHARE = 0.05
_EVALUATIONS = 10
# Images are not enlarged further than this: there is no more to see in them.
_MOST_ENLARGED = 2.0
# Images that are looked at for how the objects fit.
_SURVEYED = 200


class Machine(NamedTuple):
    """What training runs on."""

    device: str  # of torch
    cores: int
    gib: float = 0.0  # memory of a GPU
    processes: int = 1  # that share a batch; each has a GPU, if there are any

    @property
    def is_cpu(self) -> bool:
        """Whether it is the CPU, or counts as one."""
        return not self.gib


def choose_all(
    draft: Draft,
    data: DataEntries,
    start: StartingPoint,
    machine: Machine,
    epochs: float | None = None,
) -> None:
    """Choose all that the data, the weights and the machine ask for.

    Args:
        draft: Over the config of `start`.
        data: What to train on.
        start: What to begin with.
        machine: Where.
        epochs: See :func:`plan_for`.
    """
    draft.choose(start.reason, MODEL__WEIGHTS=start.weights)
    if machine.device != draft.cfg.MODEL.DEVICE:
        draft.choose("", MODEL__DEVICE=machine.device)
    _choose_data(draft, data)
    if start.trained is Trained.NOTHING:
        _choose_from_scratch(draft)
    _choose_size(draft, data)
    _survey(draft, start.trained)
    _choose_batch(draft, data, machine, start)
    _choose_length(draft, len(data.records), epochs, start.trained, on_cpu=machine.is_cpu)
    _choose_loading(draft, machine)


def _choose_data(draft: Draft, data: DataEntries) -> None:
    entries = list(dict.fromkeys((data.train, data.val)))
    shown = data.class_names if len(data.class_names) <= 12 else [*data.class_names[:11], "..."]
    objects = sum(len(record["annotations"]) for record in data.records)
    draft.choose(
        f"{how_many(len(data.records), 'image')} with {how_many(objects, 'object')} to train on, "
        f"{how_many(data.num_val, 'image')} to evaluate with",
        DATASETS__FILES=[list(entry) for entry in entries],
        DATASETS__TRAIN=(data.train[0],),
        DATASETS__TEST=(data.val[0],),
    )
    for note in data.notes:
        draft.choose(note)
    draft.choose(
        f"classes, as the data name them: {len(data.class_names)} ({', '.join(shown)})",
        MODEL__SOLO__NUM_CLASSES=0,
    )


def _choose_size(draft: Draft, data: DataEntries) -> None:
    """Keep small images from being enlarged to where there is nothing more to see."""
    sides = np.array([sorted((record["height"], record["width"])) for record in data.records])
    short, long = np.median(sides, axis=0)
    node = draft.cfg.INPUT
    enlarged = min(node.MIN_SIZE_TEST / short, node.MAX_SIZE_TEST / long)
    if enlarged / _MOST_ENLARGED >= MUCH:
        sizes = _input_settings(enlarged_input(draft.cfg, _MOST_ENLARGED / enlarged))
        draft.choose(
            f"input: images of {short:.0f} x {long:.0f} pixels (median) would be enlarged "
            f"{enlarged:.1f} times, {_MOST_ENLARGED:g} times will do",
            **sizes,
        )


def _input_settings(sizes: dict[str, object]) -> dict[str, object]:
    jitter = sizes.pop("JITTER", None)
    named = {f"INPUT__{key}": value for key, value in sizes.items()}
    if isinstance(jitter, dict):
        named["INPUT__JITTER__IMAGE_SIZE"] = jitter["IMAGE_SIZE"]
    return named


def _survey(draft: Draft, trained: Trained) -> None:
    """Fit input and levels to the sizes of the objects, where they do not fit at all."""
    cfg = draft.cfg.clone()
    cfg.MODEL.DEVICE, cfg.MODEL.WEIGHTS, cfg.SEED = "cpu", "", max(cfg.SEED, 0)
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.freeze()
    register_coco_json(cfg)
    found = analyze_dataset(cfg, _SURVEYED)
    present = found.present
    sizes = np.percentile(present.sizes, [1, 50, 99])
    objects = "objects of {:.0f} to {:.0f} pixels, {:.0f} in the middle".format(*sizes[[0, 2, 1]])
    growth = needed_growth(present.sizes)
    if growth >= MUCH:
        draft.choose(
            f"input: {growth:.1f} times larger, so that 90 % of the objects measure {MIN_PIXELS} pixels; "
            "twice at most",
            **_input_settings(dict(found.settings["INPUT"])),
        )
    if (wrong := misfit(found)) is None:
        draft.choose(f"levels as they are: {objects}, as the model sees them, fit them")
        return
    levels = found.settings["MODEL"]["SOLO"]
    ranges, grids = levels["SCALE_RANGES"], levels["NUM_GRIDS"]
    # The mask predictors of others than SOLOv2 have a channel for each cell, or row and column.
    if trained is Trained.ALL and cfg.MODEL.META_ARCHITECTURE != "SOLOv2":
        why = f"levels: {wrong}; {objects}; the grids stay, as the trained weights are for them"
        draft.choose(why, MODEL__SOLO__SCALE_RANGES=ranges)
        return
    draft.choose(
        f"levels: {wrong}; {objects}",
        MODEL__SOLO__NUM_GRIDS=grids,
        MODEL__SOLO__SCALE_RANGES=ranges,
    )


def _choose_batch(draft: Draft, data: DataEntries, machine: Machine, start: StartingPoint) -> None:
    """Choose the batch by memory and images, and the learning rate by the batch."""
    images = len(data.records)
    base, rate = draft.base.SOLVER.IMS_PER_BATCH, draft.base.SOLVER.BASE_LR
    together = machine.processes
    where = "the CPU" if machine.is_cpu else f"{together} x {machine.gib:.0f} GiB of GPU memory"
    largest = _CPU_BATCH if machine.is_cpu else _batch_in_memory(draft.cfg, machine) * together
    most = min(base, largest, max(2, images // _LEAST_BATCHES))
    batch = 2 ** int(math.log2(most))
    batch = max(batch - batch % together, together)
    draft.choose(f"batch {batch}: {images:,} images, {where}", SOLVER__IMS_PER_BATCH=batch)
    batch = draft.cfg.SOLVER.IMS_PER_BATCH
    if start.trained is Trained.NOTHING:
        _choose_norm(draft, batch // together)
        base, rate = _SCRATCH_BATCH, _SCRATCH_RATE
    chosen = float(f"{rate * batch / base:.3g}")
    draft.choose(f"learning rate {chosen:g} = {rate:g} x {batch} / {base}", SOLVER__BASE_LR=chosen)


def _batch_in_memory(cfg: CfgNode, machine: Machine) -> int:
    """Return how many images fit into the memory of a GPU."""
    node = cfg.INPUT
    height, width = max(node.MIN_SIZE_TRAIN), node.MAX_SIZE_TRAIN
    if node.JITTER.ENABLED:
        height, width = node.JITTER.IMAGE_SIZE
    gib = _GIB_PER_MEGAPIXEL * height * width / 1e6
    if cfg.MODEL.RESNETS.DEPTH > _DEEP:
        gib *= 2
    return max(1, int(_USABLE_MEMORY * machine.gib / gib))


def _choose_from_scratch(draft: Draft) -> None:
    """Take what the quickstart learns from scratch with: nothing that is frozen can stay."""
    draft.choose(
        "from scratch: nothing is frozen, AdamW, more cells an object and more weight on the classes, as in "
        "the quickstart",
        MODEL__BACKBONE__FREEZE_AT=0,
        MODEL__SOLO__SIGMA=0.4,
        MODEL__SOLO__LOSS__CATEGORY_WEIGHT=3.0,
        SOLVER__OPTIMIZER="AdamW",
        SOLVER__WEIGHT_DECAY=0.05,
        SOLVER__WEIGHT_DECAY_NORM=0.0,
        SOLVER__LR_SCHEDULER_NAME="WarmupCosineLR",
    )


def _choose_norm(draft: Draft, batch: int) -> None:
    model = draft.cfg.MODEL
    node = model.RESNETS
    bottleneck = node.NUM_GROUPS * node.WIDTH_PER_GROUP
    widths = (node.STEM_OUT_CHANNELS, node.RES2_OUT_CHANNELS, bottleneck, model.FPN.OUT_CHANNELS)
    # detectron2's GN has 32 groups.
    takes_groups = not any(width % 32 for width in widths)
    norm = "GN" if batch < _LEAST_OF_BN and takes_groups else "BN"
    draft.choose(
        f"{norm} in the backbone, which is not trained yet, for {batch} images at a time",
        MODEL__RESNETS__NORM=norm,
        MODEL__FPN__NORM=norm,
    )


def _choose_length(
    draft: Draft, images: int, epochs: float | None, trained: Trained, *, on_cpu: bool
) -> None:
    """Choose iterations, and what is a share of them."""
    solver = draft.cfg.SOLVER
    why = ""
    if epochs is None:
        seen, (least, most) = _IMAGES_SEEN[trained], _EPOCHS[trained]
        seen //= _LESS_ON_CPU if on_cpu else 1
        epochs = min(max(round(seen / images), least), most)
        why = f", so that {seen:,} images are seen, in {least} epochs at least and {most} at most"
    iterations = math.ceil(epochs * images / solver.IMS_PER_BATCH)
    draft.choose(
        f"{epochs:g} epochs of {images:,} images are {iterations:,} iterations{why}",
        SOLVER__MAX_ITER=iterations,
    )
    length = solver.MAX_ITER
    base = draft.base.SOLVER
    if base.EPOCHS:
        draft.choose("", SOLVER__EPOCHS=0.0)  # it would stand above all that is chosen here
    warmup = min(base.WARMUP_ITERS, math.ceil(_WARMUP_SHARE * length))
    draft.choose(
        f"warm-up of {warmup:,} iterations: {_WARMUP_SHARE:.0%} of all, or those of the model's config",
        SOLVER__WARMUP_ITERS=warmup,
    )
    if solver.LR_SCHEDULER_NAME == "WarmupMultiStepLR":
        scaled = sorted({round(step * length / base.MAX_ITER) for step in base.STEPS})
        shares = ", ".join(f"{step / base.MAX_ITER:.0%}" for step in base.STEPS)
        draft.choose(
            f"the rate is lowered at {shares} of the iterations, as in the model's config",
            SOLVER__STEPS=tuple(step for step in scaled if 0 < step < length),
        )
    period = math.ceil(length / _EVALUATIONS)
    draft.choose(
        f"an evaluation and a checkpoint every {period:,} iterations, {math.ceil(length / period)} in all; "
        "model_best.pth is the best, and of the others the last two are kept",
        TEST__EVAL_PERIOD=period,
        SOLVER__CHECKPOINT_PERIOD=period,
        SOLVER__KEEP_CHECKPOINTS=2,
    )
    if "EMA" in solver:
        draft.choose("the average of the weights is evaluated and kept", SOLVER__EMA__ENABLED=True)


def _choose_loading(draft: Draft, machine: Machine) -> None:
    workers = max(min(machine.cores - 1, 1 if machine.is_cpu else 4), 0)
    draft.choose(
        f"processes that load images beside the training: {workers}, of {machine.cores} CPU cores",
        DATALOADER__NUM_WORKERS=workers,
    )
