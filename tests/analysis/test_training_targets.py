import torch

from solo.analysis import training_targets
from solo.data import build_train_loader
from solo.modeling.targets import TargetAssigner
from tests.conftest import build


def test_targets_are_those_of_the_model(cfg, monkeypatch):
    # The square of 30 to 40 pixels fits no level; in images twice as large, only the smallest does.
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 8], [8, 12], [8, 12], [8, 12], [8, 12]]
    calls = []
    assign = TargetAssigner.__call__

    def recorded(self, *inputs):
        calls.append((inputs, assign(self, *inputs)))
        return calls[-1][1]

    with monkeypatch.context() as patch:
        patch.setattr(TargetAssigner, "__call__", recorded)
        loader = iter(build_train_loader(cfg))
        model = build(cfg)
        for _ in range(2):
            model(next(loader))

    found = list(training_targets(cfg, 4))
    for ours, (inputs, expected) in zip(found, calls, strict=True):
        assert ours.image.size == inputs[-1]
        assert torch.equal(ours.targets.cells, expected.cells)
        assert torch.equal(ours.targets.instances, expected.instances)
        side = ours.image.item["image"].shape[1]
        sizes = (inputs[0][:, 2:] - inputs[0][:, :2]).prod(dim=1).sqrt()
        assert ours.unassigned == (sizes > 12).nonzero()[:, 0].tolist()
        assert len(ours.unassigned) == (1 if side == 48 else 2)


def test_as_many_images_as_asked_for(cfg):
    assert len(list(training_targets(cfg, 3))) == 3
