"""Every config builds, and every key that solo adds is read by something."""

import re
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.config import get_cfg as get_detectron2_cfg
from detectron2.modeling import build_model

from solo.config import get_cfg
from tests.conftest import training_item

ROOT = Path(__file__).parents[2]
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
        # They are handed to PostProcessor by name, which refuses what it does not know.
        assert re.search(rf"self\.{name.lower()}\b", SOURCE), key
    else:
        assert re.search(rf"\.{name}\b", SOURCE), key


def table_rows():
    """Return what configs/README.md says: config -> millions of parameters."""
    rows = {}
    for line in (ROOT / "configs" / "README.md").read_text().splitlines():
        if match := re.match(r"\| \[[\w/]+\]\((.+\.yaml)\) \|", line):
            rows[match.group(1)] = float(line.split("|")[4])
    return rows


def test_every_config_is_in_the_table():
    leaves = {
        str(path.relative_to(ROOT / "configs")) for path in CONFIGS if path.parent.name != "configs"
    }
    assert set(table_rows()) == leaves


@pytest.mark.parametrize("name", sorted(table_rows()))
def test_every_config_trains_a_step_and_finds_instances(name):
    cfg = get_cfg()
    cfg.merge_from_file(str(ROOT / "configs" / name))
    cfg.MODEL.SOLO.NUM_CLASSES = cfg.MODEL.SOLO.NUM_CLASSES or 10
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Batch normalisation needs more than one value a channel, which 64 pixels do not leave at P5.
    items = [training_item(), training_item(seed=1)]
    sum(model(items).values()).backward()
    for parameter in parameters:
        assert torch.isfinite(parameter.grad).all()
        parameter.data -= 1e-4 * parameter.grad
    instances = model.eval()([training_item()])[0]["instances"]
    assert instances.image_size == (64, 64)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert millions == pytest.approx(table_rows()[name], abs=0.051)


def test_defaults_are_the_published_ones():
    node = get_cfg().MODEL.SOLO
    assert node.NUM_GRIDS == [40, 36, 24, 16, 12]
    assert node.SCALE_RANGES == [[1, 96], [48, 192], [96, 384], [192, 768], [384, 2048]]
    assert (node.SIGMA, node.LOSS.MASK_WEIGHT) == (0.2, 3.0)
    test = node.TEST
    assert (test.SCORE_THRESH, test.MASK_THRESH, test.UPDATE_THRESH) == (0.1, 0.5, 0.05)
    assert (test.PRE_NMS_TOPK, test.NMS_KERNEL, test.NMS_SIGMA) == (500, "gaussian", 2.0)
