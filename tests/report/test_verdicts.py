"""Kinds of errors, on masks of 12 x 12 pixels that are drawn by hand: rows and columns of squares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solo.report.matching import Overlaps
from solo.report.verdicts import DEFINITIONS, Kind, classify

SIZE = 12


def mask(left, top, right, bottom):
    pixels = np.zeros((SIZE, SIZE), dtype=bool)
    pixels[top:bottom, left:right] = True
    return pixels


def overlaps_of(predictions, objects):
    def shared(some, others):
        pixels = [np.reshape(masks, (-1, SIZE * SIZE)).astype(int) for masks in (some, others)]
        return pixels[0] @ pixels[1].T

    return Overlaps(
        shared=shared(predictions, objects),
        predictions=shared(predictions, predictions),
        objects=shared(objects, objects),
    )


def judge(predictions, objects, predicted=None, true=None, scores=None, in_crowd=None):
    """Classify boxes; all of class 0, the first prediction the most confident, unless it is said."""
    number = len(predictions)
    predicted = np.array(predicted or [0] * number)
    true = np.array(true or [0] * len(objects))
    return classify(
        overlaps_of([mask(*box) for box in predictions], [mask(*box) for box in objects]),
        scores=np.linspace(0.9, 0.5, number) if scores is None else np.array(scores),
        same_class=predicted[:, None] == true,
        in_crowd=np.zeros(number, dtype=bool) if in_crowd is None else np.array(in_crowd),
    )


def kinds(verdict):
    return [Kind(k) for k in verdict.predictions], [Kind(k) for k in verdict.objects]


OBJECT = (0, 0, 4, 4)
# Both share no pixel with OBJECT.
FAR, RIGHT = (8, 8, 12, 12), (4, 0, 8, 4)


def test_correct_missed_and_background():
    verdict = judge([(0, 0, 4, 3), FAR], [OBJECT, RIGHT])
    assert kinds(verdict) == ([Kind.CORRECT, Kind.BACKGROUND], [Kind.CORRECT, Kind.MISSED])
    assert verdict.matches.tolist() == [0, -1]
    assert verdict.about.tolist() == [[True, False], [False, False]]


def test_an_iou_of_a_half_is_enough():
    assert kinds(judge([(0, 0, 4, 2)], [OBJECT])) == ([Kind.CORRECT], [Kind.CORRECT])
    # 7 of 16 pixels.
    assert kinds(judge([(0, 0, 7, 1)], [(0, 0, 8, 2)])) == ([Kind.POOR], [Kind.POOR])


def test_the_most_confident_one_takes_an_object_for_another_class():
    # Of class 1: two on the object of class 0, the second one with more confidence, and one that only touches it.
    boxes = [(0, 0, 4, 3), OBJECT, (0, 0, 4, 1), FAR]
    verdict = judge(boxes, [OBJECT, FAR], [1, 1, 1, 0], [0, 0], scores=[0.6, 0.7, 0.9, 0.5])
    assert verdict.mistaken.tolist() == [-1, 0, -1, -1]
    # What its own class finds is not taken for another.
    found = judge([OBJECT, OBJECT], [OBJECT], [1, 0], [0], scores=[0.9, 0.5])
    assert found.mistaken.tolist() == [-1, -1]


def test_an_iou_of_a_tenth_is_about_the_object():
    assert kinds(judge([(0, 0, 1, 1)], [(0, 0, 10, 1)])) == ([Kind.POOR], [Kind.POOR])
    assert kinds(judge([(0, 0, 1, 1)], [(0, 0, 11, 1)])) == ([Kind.BACKGROUND], [Kind.MISSED])


def test_the_more_confident_of_two_finds_the_object():
    verdict = judge([OBJECT, OBJECT], [OBJECT], scores=[0.6, 0.7])
    assert kinds(verdict) == ([Kind.DUPLICATE, Kind.CORRECT], [Kind.CORRECT])


@pytest.mark.parametrize("box", [OBJECT, (0, 0, 4, 1)], ids=["close", "near"])
def test_wrong_class(box):
    assert kinds(judge([box], [OBJECT], [1], [0])) == ([Kind.WRONG_CLASS], [Kind.WRONG_CLASS])
    # Of an object that is found, the second label is wrong, too.
    verdict = judge([OBJECT, box], [OBJECT], [0, 1], [0])
    assert kinds(verdict) == ([Kind.CORRECT, Kind.WRONG_CLASS], [Kind.CORRECT])


def test_merged():
    # 32 pixels, of which each of three objects has 10: an IoU under a half with all of them.
    objects = [(0, 0, 5, 2), (6, 0, 11, 2), (0, 2, 5, 4)]
    verdict = judge([(0, 0, 11, 4)], objects, [0], [0, 1, 2])
    assert kinds(verdict) == ([Kind.MERGED], [Kind.MERGED] * 3)
    assert verdict.about.tolist() == [[True] * 3]


def test_a_correct_prediction_may_merge_a_second_object():
    verdict = judge([(0, 0, 8, 4)], [(0, 0, 5, 4), (5, 0, 8, 4)])
    assert kinds(verdict) == ([Kind.CORRECT], [Kind.CORRECT, Kind.MERGED])


def test_an_object_within_another_is_not_merged_with_it():
    tie, person = (2, 2, 4, 5), (0, 0, 6, 6)
    verdict = judge([person], [person, tie], [0], [0, 1])
    assert kinds(verdict) == ([Kind.CORRECT], [Kind.CORRECT, Kind.MISSED])
    assert not verdict.about[0, 1]


def test_a_speck_beside_an_object_is_not_merged_with_it():
    # 63 pixels, with 25 of an object, and with a speck of 4, less than a tenth.
    verdict = judge([(0, 0, 9, 7)], [(0, 0, 5, 5), (7, 5, 9, 7)])
    assert kinds(verdict) == ([Kind.POOR], [Kind.POOR, Kind.MISSED])


def test_split():
    thirds = [(0, 0, 3, 4), (3, 0, 6, 4), (6, 0, 9, 4)]
    verdict = judge(thirds, [(0, 0, 9, 4)])
    assert kinds(verdict) == ([Kind.SPLIT] * 3, [Kind.SPLIT])
    assert verdict.about.all()


def test_a_part_beside_a_prediction_that_finds_the_object():
    verdict = judge([(0, 0, 6, 4), (6, 0, 9, 4)], [(0, 0, 9, 4)])
    assert kinds(verdict) == ([Kind.CORRECT, Kind.SPLIT], [Kind.CORRECT])


def test_parts_within_one_another_do_not_split():
    verdict = judge([(0, 0, 4, 4), (0, 0, 4, 3)], [(0, 0, 9, 4)])
    assert kinds(verdict) == ([Kind.POOR, Kind.POOR], [Kind.POOR])


def test_crowds_excuse_what_is_not_correct():
    verdict = judge([OBJECT, OBJECT, FAR], [OBJECT], in_crowd=[True, True, True])
    assert kinds(verdict) == ([Kind.CORRECT, Kind.IGNORED, Kind.IGNORED], [Kind.CORRECT])


def test_nothing_predicted_or_nothing_there():
    assert kinds(judge([], [OBJECT])) == ([], [Kind.MISSED])
    assert kinds(judge([OBJECT], [])) == ([Kind.BACKGROUND], [])
    assert judge([], []).about.shape == (0, 0)


BOXES = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 4)] * 2).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
LABELLED = st.lists(st.tuples(BOXES, st.integers(0, 1)), max_size=6)


@settings(max_examples=100, deadline=None)
@given(LABELLED, LABELLED, st.randoms())
def test_each_has_one_kind_and_the_order_does_not_matter(found, there, random):
    predictions, predicted = [box for box, _ in found], [label for _, label in found]
    objects, true = [box for box, _ in there], [label for _, label in there]
    scores = np.linspace(0.9, 0.1, len(found))
    verdict = judge(predictions, objects, predicted, true, scores)
    of_predictions, of_objects = kinds(verdict)
    assert len(of_predictions) == len(found) and len(of_objects) == len(there)
    assert Kind.MISSED not in of_predictions
    assert not {Kind.DUPLICATE, Kind.BACKGROUND, Kind.IGNORED} & set(of_objects)
    assert of_predictions.count(Kind.CORRECT) == of_objects.count(Kind.CORRECT)
    # What is neither found nor missed has a prediction to blame, and the other way round.
    blamed = verdict.about.any(axis=0)
    assert [kind == Kind.MISSED for kind in of_objects] == (~blamed).tolist()
    backed = verdict.about.any(axis=1)
    assert [kind == Kind.BACKGROUND for kind in of_predictions] == (~backed).tolist()

    order = random.sample(range(len(found)), len(found))
    shuffled = judge(
        [predictions[i] for i in order], objects, [predicted[i] for i in order], true, scores[order]
    )
    assert shuffled.predictions.tolist() == verdict.predictions[order].tolist()
    assert shuffled.objects.tolist() == verdict.objects.tolist()


def test_all_errors_are_defined():
    assert set(DEFINITIONS) == set(Kind) - {Kind.CORRECT, Kind.IGNORED}
    assert [Kind.POOR.title, Kind.WRONG_CLASS.title] == ["poorly localised", "wrong class"]
