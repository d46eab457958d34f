import pytest
import torch
from detectron2.utils.events import EventStorage

from solo.modeling.target_log import LOG_PERIOD
from tests.conftest import build, make_cfg, training_item


def losses_and_log(model, items, iteration=LOG_PERIOD - 1):
    with EventStorage(iteration) as storage:
        losses = model(items)
    return losses, {name: value for name, (value, _) in storage.latest().items()}


def test_counts_by_hand():
    cfg = make_cfg()
    # Sizes 8, 20 and 40: the first has no level. Single cells: no region around the centres.
    cfg.MODEL.SOLO.SCALE_RANGES = [[10, 24], [16, 24], [25, 64], [90, 99], [90, 99]]
    cfg.MODEL.SOLO.SIGMA = 0.0
    items = [
        training_item([(1, 1, 9, 9), (11, 11, 31, 31)], [0, 1]),
        training_item([(3, 3, 43, 43)], [2], seed=1),
        training_item([], [], seed=2),
        training_item([(12, 11, 32, 31)], [2], seed=3),
    ]
    _, log = losses_and_log(build(cfg), items)
    # Per image, of four.
    levels = [log.pop(f"targets/positives_level{level}") for level in range(5)]
    assert levels == [2 / 4, 2 / 4, 1 / 4, 0, 0]
    assert log == {"targets/objects_per_image": 1.0, "targets/unassigned_objects": 1 / 4}


def test_no_objects_have_no_share():
    _, log = losses_and_log(build(make_cfg()), [training_item([], [])])
    assert "targets/unassigned_objects" not in log
    assert log["targets/objects_per_image"] == 0


@pytest.mark.parametrize("iteration", [0, 1, LOG_PERIOD, 3 * LOG_PERIOD - 2])
def test_between_the_lines_of_the_log_nothing_is_counted(iteration, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("counted")

    monkeypatch.setattr(EventStorage, "put_scalar", fail)
    losses_and_log(build(make_cfg()), [training_item()], iteration)


def test_losses_are_those_without_a_log():
    model = build(make_cfg())
    model.eval().training = True  # the statistics of BN stay
    expected = model([training_item()])
    losses, log = losses_and_log(model, [training_item()])
    assert log
    assert all(torch.equal(losses[name], expected[name]) for name in expected)
