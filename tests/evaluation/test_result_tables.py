"""AP as people read it."""

import math

import pytest

from solo.evaluation.result_tables import FEW_CLASSES, masks_first, overall_table, result_tables


def results(count):
    classes = {f"AP-c{number}": float(number) for number in range(count)}
    box = {"AP": 40.04, "APs": math.nan, **classes}
    return {"bbox": box, "segm": {**box, "AP": 41.26}}


def words(text):
    return [line.split() for line in text.splitlines()]


def test_masks_come_first_and_what_is_no_number_is_a_dash():
    table = words(result_tables(results(2)))
    assert table[:4] == [["AP", "APs"], ["mask", "41.3", "-"], ["box", "40.0", "-"], []]
    assert table[4:] == [
        ["class", "mask", "AP", "box", "AP"],
        ["c0", "0.0", "0.0"],
        ["c1", "1.0", "1.0"],
    ]


@pytest.mark.parametrize(("count", "verbose"), [(12, False), (13, False), (13, True)])
def test_many_classes_are_listed_where_they_are_asked_for(count, verbose):
    text = result_tables(results(count), verbose=verbose, elsewhere="on the page")
    listed = count <= FEW_CLASSES or verbose
    assert ("c11" in text) is listed
    assert ("AP of each of the 13 classes: on the page." in text) is not listed


def test_the_name_of_a_data_set_stays_as_it_is():
    tasks = ("my_segm_val/bbox", "my_bbox_val/bbox", "my_bbox_val/segm")
    labels = [label for label, _ in masks_first({task: {"AP": 1.0} for task in tasks})]
    assert labels == ["my_bbox_val mask", "my_segm_val box", "my_bbox_val box"]


def test_boundaries_stand_below_masks():
    tables = {task: {"AP": 1.0} for task in ("bbox", "voc", "boundary_TTA", "segm_TTA")}
    assert [label for label, _ in masks_first(tables)] == ["mask_TTA", "boundary_TTA", "box", "voc"]


def test_tables_without_classes_and_with_other_metrics():
    found = {"voc_segm": {"AP50": 7.0, "threshold": 0.35}}
    assert words(result_tables(found)) == [["AP50", "threshold"], ["voc_mask", "7.0", "0.35"]]
    table = overall_table([("mask", {"AP": 1.0}), ("box", {"AP": 2.0, "AR": 3.0})])
    assert words(table) == [["AP", "AR"], ["mask", "1.0", "-"], ["box", "2.0", "3.0"]]
