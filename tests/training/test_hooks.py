import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from detectron2.utils.events import EventStorage

from solo.modeling.target_log import UNASSIGNED
from solo.training.hooks import UnassignedWarning
from tests.training.training_toys import ToyTrainer, toy_config


def warnings_of(shares, caplog, *, ends=False):
    """Run the hook over steps, in which so many objects were counted as unassigned, or nothing."""
    hook = UnassignedWarning(Path("output/config.yaml"))
    with EventStorage() as storage, caplog.at_level(logging.WARNING):
        hook.trainer = SimpleNamespace(storage=storage)
        for share in shares:
            if share is not None:
                storage.put_scalar(UNASSIGNED, share)
            hook.after_step()
            storage.step()
        if ends:
            hook.after_train()
    return [record.getMessage() for record in caplog.records]


def test_most_objects_unassigned_is_told_once_with_what_to_do(caplog):
    (message,) = warnings_of([None, *[0.6, None, 1.0, 0.4, 0.9, 0.8, 1.0, 1.0]], caplog, ends=True)
    assert message.startswith("74% of the objects")
    for word in ("MODEL.SOLO.SCALE_RANGES", "INPUT.MIN_SIZE_TRAIN", "solo data survey"):
        assert word in message
    assert "--config output/config.yaml" in message


@pytest.mark.parametrize(
    "shares",
    [
        [0.9, 0.9, 0.9, 0.9],  # too few to judge
        [0.9, 0.1, 0.2, 0.2, 0.2, 1.0, 1.0],  # fine at first
        [None] * 9,
    ],
)
def test_no_warning(shares, caplog):
    assert warnings_of(shares, caplog) == []


def test_a_short_run_is_judged_at_its_end(caplog):
    assert len(warnings_of([0.9, 0.9], caplog, ends=True)) == 1


def test_training_has_the_warning(tmp_path):
    trainer = ToyTrainer(toy_config(tmp_path))
    assert [type(hook) for hook in trainer._hooks].count(UnassignedWarning) == 1
