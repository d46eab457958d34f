import torch

from solo.data import build_train_loader
from solo.modeling.targets import TargetAssigner
from solo.survey.drawings import training_targets
from tests.conftest import build


def test_targets_are_those_of_the_model(cfg, monkeypatch):
    # The square of 30 to 40 pixels fits no level; in images twice as large, only the smallest does.
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 8], [8, 12], [8, 12], [8, 12], [8, 12]]
    calls = []
    assign = TargetAssigner.of_batch

    def recorded(self, images, size, predictions):
        targets = assign(self, images, size, predictions)
        boxes = [image.gt_boxes.tensor for image in images]
        calls.extend(zip(boxes, [size] * len(images), targets, strict=True))
        return targets

    with monkeypatch.context() as patch:
        patch.setattr(TargetAssigner, "of_batch", recorded)
        loader = iter(build_train_loader(cfg))
        model = build(cfg)
        for _ in range(2):
            model(next(loader))

    found = list(training_targets(cfg, 4))
    for ours, (boxes, size, expected) in zip(found, calls, strict=True):
        assert ours.image.size == size
        assert torch.equal(ours.targets.cells, expected.cells)
        assert torch.equal(ours.targets.instances, expected.instances)
        side = ours.image.item["image"].shape[1]
        sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
        assert ours.unassigned == (sizes > 12).nonzero()[:, 0].tolist()
        assert len(ours.unassigned) == (1 if side == 48 else 2)


def test_as_many_images_as_asked_for(cfg):
    assert len(list(training_targets(cfg, 3))) == 3
