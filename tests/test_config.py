"""Every config builds, and every key that solo adds is read by something."""

import re
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.config import get_cfg as get_detectron2_cfg
from detectron2.modeling import build_model

from solo.config import get_cfg

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def flatten(node, prefix=""):
    for name, value in node.items():
        if isinstance(value, CfgNode):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def added_keys():
    return sorted(set(flatten(get_cfg())) - set(flatten(get_detectron2_cfg())))


SOURCE = "\n".join(
    path.read_text() for path in (ROOT / "solo").rglob("*.py") if path.name != "config.py"
)


@pytest.mark.parametrize("key", added_keys())
def test_every_key_is_read(key):
    name = key.rpartition(".")[2]
    if key.startswith("MODEL.SOLO.TEST."):
        # They are handed to InstanceFinder by name, which refuses what it does not know.
        assert re.search(rf"self\.{name.lower()}\b", SOURCE), key
    else:
        assert re.search(rf"\.{name}\b", SOURCE), key


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_every_config_builds(path):
    cfg = get_cfg()
    cfg.merge_from_file(str(path))
    cfg.MODEL.SOLO.NUM_CLASSES = cfg.MODEL.SOLO.NUM_CLASSES or 10
    # Without memory for the weights: only the shapes are of interest.
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model = build_model(cfg)
    assert sum(parameter.numel() for parameter in model.parameters()) > 1_000_000


def test_defaults_are_the_published_ones():
    node = get_cfg().MODEL.SOLO
    assert node.NUM_GRIDS == [40, 36, 24, 16, 12]
    assert node.SCALE_RANGES == [[1, 96], [48, 192], [96, 384], [192, 768], [384, 2048]]
    assert (node.SIGMA, node.LOSS.MASK_WEIGHT) == (0.2, 3.0)
    test = node.TEST
    assert (test.SCORE_THRESH, test.MASK_THRESH, test.UPDATE_THRESH) == (0.1, 0.5, 0.05)
    assert (test.PRE_NMS_TOPK, test.NMS_KERNEL, test.NMS_SIGMA) == (500, "gaussian", 2.0)
