"""The table of confusions: all classes where they are few, those most confused where they are many."""

from types import SimpleNamespace

import pytest

from solo.report.page_tables import confusions
from solo.report.verdicts import Kind
from tests.report.test_confusion import result


def table(truth, found, mistaken, number):
    kinds = [Kind.WRONG_CLASS] * len(found)
    images = [result(truth, found, [-1] * len(found), mistaken, kinds)]
    return confusions(SimpleNamespace(images=images, class_names=[f"c{k}" for k in range(number)]))


def numbers(row):
    return [cell.number for cell in row[1]]


def test_few_classes():
    shown = table([0, 0, 1], [1, 1], [0, -1], 2)
    assert shown["columns"] == ["c0", "c1", "missed"] and shown["hidden"] == 0
    names = [name for name, _ in shown["rows"]]
    assert names == ["c0", "c1", "no object"]
    assert [numbers(row) for row in shown["rows"]] == [[0, 1, 1], [0, 0, 1], [0, 1, 0]]
    first, *_, last = (row[1] for row in shown["rows"])
    # Of two objects one each; of the two predictions of c1 one is of no object.
    assert [cell.share for cell in first] == [0, 0.5, 0.5] and last[1].share == 0.5
    assert [cell.kind for cell in first] == ["right", "wrong", "wrong"]
    assert shown["pairs"] == [("c0", "c1", 1)]


@pytest.mark.parametrize("number", [13, 80])
def test_of_many_classes_the_others_are_one_column(number):
    # The last two are confused with each other, the first one with the second to last.
    last = number - 1
    shown = table([last, last - 1, 0], [last - 1, last, last - 1], [0, 1, 2], number)
    assert shown["hidden"] == number - 12 and len(shown["rows"]) == 13
    assert shown["columns"][-4:] == [f"c{last - 1}", f"c{last}", f"{number - 12} others", "missed"]
    # Each object once.
    assert sum(sum(numbers(row)) for row in shown["rows"][:-1]) == 3
    assert numbers(shown["rows"][0])[10:] == [1, 0, 0, 0]


def test_shares_of_the_last_row_are_of_all_predictions_of_a_class():
    # Twelve classes are confused in a ring, twice each, and c0 once.
    truth = [k for k in range(1, 13) for _ in range(2)] + [0]
    found = [k % 12 + 1 for k in range(1, 13) for _ in range(2)] + [1, 1]
    shown = table(truth, found, [*range(24), 24, -1], 20)
    assert shown["hidden"] == 8 and shown["columns"][0] == "c1"
    last = shown["rows"][-1][1]
    # Of four predictions of c1 one takes the hidden c0 for it, and one finds nothing.
    assert last[0].number == 1 and last[0].share == 0.25
