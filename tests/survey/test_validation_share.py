"""Properties of the split; names are what it depends on."""

import random
import time

import pytest

from solo.survey.validation_share import held_out


def dataset(number, seed=0, classes=3):
    rng = random.Random(seed)
    return {
        f"{index:06d}.jpg": {rng.randrange(classes) for _ in range(rng.randrange(4))}
        for index in range(number)
    }


def in_both(classes, chosen):
    """Return the classes that only one part shows."""
    shown = [set(), set()]
    for name, found in classes.items():
        shown[name in chosen] |= found
    return shown[0] ^ shown[1]


@pytest.mark.parametrize("number", [2, 3, 5, 20, 97, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_is_held_out_whatever_the_order(number, seed):
    classes = dataset(number, seed)
    chosen = held_out(classes)
    assert held_out(dict(sorted(classes.items(), reverse=True))) == chosen
    assert chosen <= classes.keys() and 2 * len(chosen) <= number
    if number >= 20:
        assert len(chosen) == round(number / 5)
        assert not in_both(classes, chosen)


def test_an_image_more_moves_few_of_the_others():
    classes = dataset(1000)
    before = held_out(classes)
    after = held_out({**classes, "another.jpg": {0}})
    assert len(before ^ after) <= 3


@pytest.mark.parametrize("seed", range(20))
def test_each_class_is_in_both_parts_if_it_can_be(seed):
    rng = random.Random(seed)
    # Ten classes of two images each.
    classes = {f"{rng.random()}": {index // 2} for index in range(20)}
    assert not in_both(classes, held_out(classes))


def test_the_only_image_of_a_class_is_trained_on():
    classes = {f"{index}.jpg": {0} for index in range(9)} | {"rare.jpg": {0, 1}}
    assert held_out(classes) and "rare.jpg" not in held_out(classes)


def test_few_images():
    assert held_out({}) == held_out({"a": {0}}) == set()
    assert len(held_out({"a": {0}, "b": {0}})) == 1
    # Training needs objects more than the evaluation does.
    assert held_out({"a": {0}, "b": set()}) == {"b"}
    assert len(held_out({f"{index}": {0} for index in range(10)})) == 2


def test_images_with_objects_come_first():
    classes = {f"{index}": {0} if index < 10 else set() for index in range(20)}
    assert all(classes[name] for name in held_out(classes))


def test_many_images_take_no_time():
    classes = dataset(100_000, classes=80)
    start = time.process_time()
    assert len(held_out(classes)) == 20_000
    assert time.process_time() - start < 10
