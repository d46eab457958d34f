"""An analysis as short lines of text, and as plain numbers for a yaml file."""

from typing import Any

import numpy as np
import yaml
from detectron2.config import CfgNode

from solo.config.choices import Assignment
from solo.modeling.meta_arch import SOLO
from solo.survey.advice import advice
from solo.survey.analysis import Analysis
from solo.survey.proposal import RULES
from solo.survey.statistics import Survey

_PERCENTILES = (1, 10, 50, 90, 99)
# Classes that are listed one by one; of more, the most frequent and the rarest.
_LISTED_CLASSES = 12


def class_counts(analysis: Analysis) -> dict[str, int]:
    """Return how many objects of the sample each class has, in the order of the classes."""
    number = analysis.cfg.MODEL.SOLO.NUM_CLASSES
    names = analysis.class_names or [f"class {index}" for index in range(number)]
    counts = np.bincount(analysis.present.classes, minlength=number)
    return dict(zip(names, counts.tolist(), strict=True))


def proposal_yaml(analysis: Analysis) -> str:
    """Return the proposed settings as yaml to paste into a config."""
    return yaml.safe_dump(analysis.settings, default_flow_style=None, sort_keys=False)


def summary(analysis: Analysis) -> str:
    """Return a verdict, what was found, and what is proposed, as lines of text."""
    present = analysis.present
    sizes = np.percentile(present.sizes, _PERCENTILES)
    spread = ", ".join(
        f"{percent} %: {size:.0f}" for percent, size in zip(_PERCENTILES, sizes, strict=True)
    )
    kept = analysis.proposed_cfg.INPUT == analysis.cfg.INPUT
    verdict = advice(analysis)
    lines = [
        *verdict,
        "",
        f"{', '.join(analysis.datasets)}: {len(present.objects)} of {analysis.num_records} images, "
        f"{len(present.sizes)} objects",
        f"objects per image: median {np.median(present.objects):.0f}, "
        f"at most {present.objects.max()}",
        f"objects per class: {_classes_line(class_counts(analysis))}",
        f"object sizes as trained on, sqrt(w * h) in px, percentiles: {spread}",
        "",
        "present settings:",
        *_settings_lines(analysis.cfg, present),
        "proposed settings:" if _asks_for(verdict) else "settings by the rules below, not needed:",
        *_settings_lines(analysis.proposed_cfg, analysis.proposed),
        f"  input size: {'the present one' if kept else 'larger, see below'}",
        "",
        *RULES,
        "",
        "to paste into the config:" if _asks_for(verdict) else "what the rules would write:",
        proposal_yaml(analysis),
    ]
    return "\n".join(lines)


def numbers(analysis: Analysis) -> dict[str, Any]:
    """Return what was found as numbers, lists and names only."""
    present = analysis.present
    sizes = np.percentile(present.sizes, _PERCENTILES).round(1).tolist()
    return {
        "verdict": " ".join(line.strip() for line in advice(analysis)),
        "datasets": list(analysis.datasets),
        "images": {"all": analysis.num_records, "sampled": len(present.objects)},
        "objects": len(present.sizes),
        "objects_per_image": np.bincount(present.objects).tolist(),
        "objects_per_class": class_counts(analysis),
        "size_percentiles": dict(zip(_PERCENTILES, sizes, strict=True)),
        "present": _survey_numbers(analysis.cfg, present),
        "proposed": _survey_numbers(analysis.proposed_cfg, analysis.proposed),
        "proposed_settings": analysis.settings,
    }


def _asks_for(verdict: list[str]) -> bool:
    return verdict[0].startswith("Your config does not fit")


def _settings_lines(cfg: CfgNode, survey: Survey) -> list[str]:
    assigned = 1 - survey.without_cell
    taken = survey.without_cell - survey.out_of_range
    lines = [
        f"  {assigned:.1%} of the objects get a cell; {survey.out_of_range:.1%} fit no level, "
        f"{taken:.1%} lose all cells to others"
    ]
    node = cfg.MODEL.SOLO
    reaches = SOLO.build_assigner(cfg).reaches
    for level, (side, (low, high)) in enumerate(zip(node.NUM_GRIDS, reaches, strict=True)):
        count = survey.objects_by_level[level]
        cells = survey.kept[:, level].sum() / max(count, 1)
        lines.append(
            f"  level {level}: {side} x {side} for {round(low, 1):g} to {round(high, 1):g} px: "
            f"{count / len(survey.sizes):.1%} of the objects, {cells:.1f} cells each, "
            f"{survey.shared_by_level[level]:.1%} of them claimed twice"
        )
    lines.append(f"  COLLISIONS drops {survey.lost:.1%} of the claims")
    if node.ASSIGNMENT == Assignment.DYNAMIC:
        lines.append(
            f"  ... in the first {node.DYNAMIC.WARMUP_ITERS} iterations: ASSIGNMENT is dynamic"
        )
    return lines


def _classes_line(counts: dict[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    listed = [f"{name} {count}" for name, count in ranked]
    if len(listed) > _LISTED_CLASSES:
        half = _LISTED_CLASSES // 2
        listed = [*listed[:half], "...", *listed[-half:]]
    return ", ".join(listed)


def _survey_numbers(cfg: CfgNode, survey: Survey) -> dict[str, Any]:
    return {
        "num_grids": list(cfg.MODEL.SOLO.NUM_GRIDS),
        "scale_ranges": [list(limits) for limits in cfg.MODEL.SOLO.SCALE_RANGES],
        "share_without_cell": round(survey.without_cell, 5),
        "share_out_of_range": round(survey.out_of_range, 5),
        "share_of_claims_lost": round(survey.lost, 5),
        "objects_by_level": survey.objects_by_level.tolist(),
        "positive_cells_by_level": survey.occupied.tolist(),
        "share_of_cells_shared_by_level": survey.shared_by_level.round(5).tolist(),
    }
