from itertools import islice

import numpy as np
import pytest

from solo.data.sampler import TrainingBatchSampler


def batches(count, **options):
    options = {"repeat_factors": [1.0] * 10, "batch_size": 4, "seed": 5, **options}
    return list(islice(TrainingBatchSampler(**options), count))


GROUPS = [0, 1, 1, 0, 1, 1, 0, 1, 1, 1]


def test_an_epoch_holds_every_record_once():
    indices = [draw.record for batch in batches(5) for draw in batch]
    assert sorted(indices[:10]) == list(range(10))
    assert sorted(indices[10:]) == list(range(10))
    assert indices[:10] != indices[10:]


def test_positions_count_up():
    assert [draw.position for batch in batches(3) for draw in batch] == list(range(12))


@pytest.mark.parametrize("groups", [None, GROUPS])
@pytest.mark.parametrize("start", [1, 7])
def test_later_start_continues_the_same_sequence(groups, start):
    whole = batches(start + 5, groups=groups)
    assert batches(5, groups=groups, start_batch=start) == whole[start:]


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_workers_share_the_batches_of_one(groups):
    alone = batches(8, groups=groups)
    shares = [batches(8, groups=groups, rank=rank, world_size=2) for rank in range(2)]
    for whole, first, second in zip(alone, *shares, strict=True):
        assert len(first) == len(second) == 2
        assert sorted(first + second) == whole


def test_groups_are_never_mixed_and_nothing_is_lost():
    drawn = batches(50, groups=GROUPS)
    for batch in drawn:
        assert len({GROUPS[draw.record] for draw in batch}) == 1
    counts = np.bincount([draw.record for batch in drawn for draw in batch], minlength=10)
    # 200 draws of 10 records; at most one unfinished batch per group waits.
    assert counts.min() >= 18
    assert counts.max() <= 22


def test_repeat_factors_hold_on_average():
    factors = [1.0, 2.5, 1.0, 1.0]
    indices = [draw.record for batch in batches(1100, repeat_factors=factors) for draw in batch]
    # 5.5 draws an epoch: 800 epochs.
    counts = np.bincount(indices)
    assert counts[0] == pytest.approx(800, rel=0.03)
    assert counts[1] == pytest.approx(2000, rel=0.03)


def test_seeds_differ():
    assert batches(3) != batches(3, seed=6)


def test_refuses_what_it_cannot_share():
    with pytest.raises(ValueError, match="cannot be shared evenly by 3 workers"):
        batches(1, world_size=3)
    with pytest.raises(ValueError, match="no records"):
        batches(1, repeat_factors=[])
