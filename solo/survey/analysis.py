"""A data set under the present settings of a config, and under those that would fit it."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any, cast

from detectron2.config import CfgNode
from detectron2.modeling import build_model
from tqdm import tqdm

from solo.architectures import check_is_solo
from solo.data import build_train_loader, dataset_class_names, resolve_num_classes
from solo.modeling.meta_arch import SOLO
from solo.modeling.targets import TargetAssigner
from solo.survey import proposal
from solo.survey.seen_images import Batch, seen_images
from solo.survey.statistics import Survey, take_survey


@dataclass(frozen=True, eq=False, kw_only=True)
class Analysis:
    """What an analysis found."""

    datasets: tuple[str, ...]
    class_names: list[str]  # empty where the data sets have none
    num_records: int  # images of the data sets; the surveys have a sample of them
    cfg: CfgNode
    present: Survey  # how `cfg` gives the objects to cells
    proposed_cfg: CfgNode  # the same config with the proposed settings in it
    proposed: Survey
    settings: dict[str, Any]  # what is proposed, as yaml to paste would hold it


def analyze_dataset(cfg: CfgNode, num_images: int) -> Analysis:
    """Look at DATASETS.TRAIN as a config trains on it.

    It goes two or three times over the first images of training, which are a random sample: time
    and memory do not grow with the data set.

    Args:
        cfg: The config.
        num_images: Images in the sample, at most those of the data set.

    Raises:
        UserError: The data cannot be trained on, or shows no objects.
        OSError: A file of the data cannot be read.
    """
    check_is_solo(cfg, "The survey of sizes, levels and grids")
    loader = build_train_loader(cfg)
    num_records = len(cast(Sized, loader.dataset))
    num_images = min(num_images, num_records)
    cfg = cfg.clone()
    resolve_num_classes(cfg)
    model = build_model(cfg)
    present = _survey(loader, model, model.assigner, num_images, "present settings")

    growth = proposal.needed_growth(present.sizes)
    sizes = {"INPUT": proposal.enlarged_input(cfg, growth)}
    larger = present
    if growth > 1:
        loader = build_train_loader(with_settings(cfg, sizes))
        larger = _survey(loader, model, model.assigner, num_images, "larger images")
    ranges = proposal.propose_ranges(larger, len(cfg.MODEL.SOLO.NUM_GRIDS))
    rule = proposal.rule_of_candidates(model.assigner, ranges)
    candidates = _survey(loader, model, rule, num_images, "sides of grids")
    columns = proposal.choose_grids(candidates)
    levels = {"NUM_GRIDS": [rule.grids.sides[c] for c in columns], "SCALE_RANGES": ranges}
    settings = {"MODEL": {"SOLO": levels}, **sizes}
    return Analysis(
        datasets=tuple(cfg.DATASETS.TRAIN),
        class_names=dataset_class_names(cfg.DATASETS.TRAIN),
        num_records=num_records,
        cfg=cfg,
        present=present,
        proposed_cfg=with_settings(cfg, settings),
        proposed=candidates.of_levels(columns),
        settings=settings,
    )


def with_settings(cfg: CfgNode, settings: dict[str, Any]) -> CfgNode:
    """Return a copy of a config with settings, as yaml would hold them, laid over it."""
    changed = cfg.clone()
    changed.defrost()
    changed.merge_from_other_cfg(CfgNode(settings))
    changed.freeze()
    return changed


def _survey(
    loader: Iterable[Batch], model: SOLO, rule: TargetAssigner, num_images: int, name: str
) -> Survey:
    images = seen_images(loader, model, num_images)
    bar = tqdm(images, total=num_images, desc=name, unit="image", disable=None)
    return take_survey(bar, rule)
