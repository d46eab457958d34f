"""The sentences at the top: how good, what most goes wrong, what next."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from solo.report.headline import headline
from solo.report.verdicts import Kind
from tests.report.test_confusion import result

RUN = SimpleNamespace(folder=Path("out/a b"), config_file=Path("out/a b/config.yaml"))


def words(truth, found, matches, mistaken, predictions, objects):
    image = result(truth, found, matches, mistaken, predictions, objects)
    held_out = SimpleNamespace(
        images=[image],
        threshold=0.42,
        tables={"segm": {"AP": 66.64}},
        dataset="cats",
        class_names=["cat", "dog"],
    )
    return headline(RUN, held_out)


def test_a_model_that_takes_one_class_for_another():
    right, wrong = Kind.CORRECT, Kind.WRONG_CLASS
    told = words([0, 1, 1], [0, 0, 1], [0, -1, 2], [-1, 1, -1], [right, wrong, right], [0, 5, 0])
    assert told.how_good == (
        "Finds 67% of the 3 objects; 33% of the 3 predictions are wrong, at threshold 0.42. Mask AP 66.6 "
        "on cats, 1 image."
    )
    assert told.most_wrong == (
        "What most goes wrong: 1 of 3 objects are taken for another class, most often dog for cat."
    )
    assert told.next_command == "solo predict photo.jpg --model 'out/a b'"


def test_a_model_without_errors():
    told = words([0], [0], [0], [-1], [Kind.CORRECT], [Kind.CORRECT])
    assert told.how_good.startswith("Finds all objects; none of the predictions are wrong, at")
    assert told.most_wrong == "Nothing goes wrong."


@pytest.mark.parametrize(("found", "share"), [(1, "fewer than 1%"), (999, "99%")])
def test_some_are_neither_none_nor_all(found, share):
    objects = [Kind.CORRECT] * found + [Kind.MISSED] * (1000 - found)
    predictions = [Kind.CORRECT] * found
    told = words([0] * 1000, [0] * found, range(found), [-1] * found, predictions, objects)
    assert told.how_good.startswith(f"Finds {share} of the 1,000 objects; none of the predictions")


def test_a_model_that_finds_nothing_is_to_be_surveyed():
    told = words([0], [1], [-1], [-1], [Kind.BACKGROUND], [Kind.MISSED])
    assert told.how_good.startswith("Finds none of the objects; all predictions are wrong")
    assert told.next_command == "solo data survey --config 'out/a b/config.yaml'"
