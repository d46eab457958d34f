"""A meta-architecture of boxes alone, made up for the tests: it learns where the bright things are."""

import torch
from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Boxes, Instances
from torch import nn

from solo.modeling.declared import Declared
from tests.conftest import make_cfg


@META_ARCH_REGISTRY.register()
class BoxFinder(Declared, nn.Module):
    """One convolution of stride 8; each of its cells is a box of 16 pixels whose classes have scores."""

    head_registry = None
    stride, side = 8, 16

    def __init__(self, cfg):
        super().__init__()
        self.input_format = cfg.INPUT.FORMAT
        self.category = nn.Conv2d(3, cfg.MODEL.SOLO.NUM_CLASSES, self.stride, self.stride)
        for name, value in (("pixel_mean", 110.0), ("pixel_std", 60.0)):
            self.register_buffer(name, torch.full((3, 1, 1), value), persistent=False)

    @classmethod
    def tasks(cls, cfg):
        return ("bbox",)

    @classmethod
    def needs_masks(cls, cfg):
        return False

    @property
    def device(self):
        return self.pixel_mean.device

    @property
    def category_parameters(self):
        return list(self.category.parameters())

    def forward(self, batch):
        return self.losses(batch) if self.training else [self.find(item) for item in batch]

    def logits(self, item):
        image = (item["image"].to(self.device).float() - self.pixel_mean) / self.pixel_std
        return self.category(image[None])[0]

    def losses(self, batch):
        terms = []
        for item in batch:
            truth, logits = item["instances"], self.logits(item)
            assert not truth.has("gt_masks")
            wanted = torch.zeros_like(logits)
            columns, rows = (truth.gt_boxes.get_centers() / self.stride).long().unbind(1)
            inside = (rows < wanted.shape[1]) & (columns < wanted.shape[2])
            wanted[truth.gt_classes[inside], rows[inside], columns[inside]] = 1
            terms.append(nn.functional.binary_cross_entropy_with_logits(logits, wanted))
        return {"loss_category": torch.stack(terms).mean()}

    def find(self, item):
        height, width = item["image"].shape[1:]
        size = (item.get("height", height), item.get("width", width))
        scores, places = self.logits(item).sigmoid().flatten().topk(5)
        _, rows, columns = self.logits(item).shape
        classes, cells = places // (rows * columns), places % (rows * columns)
        centres = torch.stack([cells % columns, cells // columns], dim=1) * self.stride + 4.0
        boxes = torch.cat([centres - self.side / 2, centres + self.side / 2], dim=1)
        scale = torch.tensor([size[1] / width, size[0] / height] * 2)
        found = Instances(size)
        found.pred_boxes, found.scores, found.pred_classes = Boxes(boxes * scale), scores, classes
        found.pred_boxes.clip(size)
        return {"instances": found}


def box_cfg() -> CfgNode:
    """The tiny config of the tests with the finder of boxes in place of SOLO."""
    cfg = make_cfg()
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.SOLO.HEAD = "BoxFinder", ""
    return cfg
