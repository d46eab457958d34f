"""Train a tiny model for one step on a data set, and evaluate it."""

import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.data import build_train_loader
from solo.training import evaluate
from tests.conftest import build, make_cfg


@pytest.fixture(autouse=True)
def forget():
    """Forget what a test registered."""
    before = set(DatasetCatalog.list())
    yield
    for name in set(DatasetCatalog.list()) - before:
        DatasetCatalog.remove(name)
        MetadataCatalog.pop(name, None)


@pytest.fixture
def train_and_evaluate(tmp_path):
    def run(train, test, *, mask_format="bitmask", coco_json=(), num_classes=0):
        cfg = make_cfg()
        cfg.DATASETS.COCO_JSON = list(coco_json)
        cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (train,), (test,)
        cfg.MODEL.SOLO.NUM_CLASSES = num_classes
        cfg.MODEL.SOLO.TEST.MASK_FORMAT = mask_format
        cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.0
        cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
        cfg.INPUT.MIN_SIZE_TRAIN = (64,)
        cfg.INPUT.MIN_SIZE_TEST = 64
        cfg.SOLVER.IMS_PER_BATCH = 2
        cfg.DATALOADER.NUM_WORKERS = 0
        cfg.SEED = 1
        cfg.OUTPUT_DIR = str(tmp_path / "out")
        model = build(cfg)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        losses = model(next(iter(build_train_loader(cfg))))
        sum(losses.values()).backward()
        optimizer.step()
        return evaluate(cfg, model.eval())

    return run


@pytest.fixture
def write_json(tmp_path):
    def write(document, name="data.json"):
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return str(path)

    return write
