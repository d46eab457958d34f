"""A training begins from a model of other classes: each takes the row of its name, the others stay fresh."""

import logging
import math
import re

import pytest
import torch
from torch import nn

from solo.checkpoint import SOLOCheckpointer, to_mmdet, write_checkpoint
from solo.checkpoint.class_rows import (
    carried_class_names,
    coco_class_names,
    match_classes,
    same_classes,
)
from solo.errors import UserError
from tests.conftest import build, make_cfg

PETS = ["cat", "dog", "cow"]


class Rows(nn.Module):
    """A tensor with a row per class, one that has as many rows and is of no class, and one beside."""

    def __init__(self, rows: list[float], width: int = 2) -> None:
        super().__init__()
        self.category = nn.Linear(width, len(rows))
        self.other = nn.Linear(2, len(rows))
        with torch.no_grad():
            self.category.weight.copy_(torch.tensor(rows)[:, None])
            self.category.bias.copy_(torch.tensor(rows))

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        return list(self.category.parameters())


class Undeclared(nn.Module):
    def __init__(self, rows: list[float]) -> None:
        super().__init__()
        self.category = nn.Linear(2, len(rows))


def saved(model, path, names):
    SOLOCheckpointer(model, str(path.parent), class_names=names).save_weights(path.stem)
    return str(path)


@pytest.fixture
def begin(caplog):
    """Load a file as a training does that begins; return what the log says of classes."""

    def begin(model, path, names):
        checkpointer = SOLOCheckpointer(model, class_names=names, takes_classes_by_name=True)
        checkpointer.logger = logging.getLogger("test_class_rows")
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="test_class_rows"):
            checkpointer.load(str(path))
        messages = [record.getMessage() for record in caplog.records]
        return [text for text in messages if re.search(r"^(\d+ of|All|None of) ", text)]

    return begin


def pets_file(tmp_path, names=PETS):
    model = Rows([1.0, 2.0, 3.0])
    nn.init.constant_(model.other.weight, 7.0)
    return saved(model, tmp_path / "pets.pth", names)


def test_rows_go_by_name(tmp_path, begin):
    path = pets_file(tmp_path)
    model = Rows([-1.0, -2.0, -3.0])
    told = begin(model, path, ["dog", "fox", "cat"])
    assert model.category.bias.tolist() == [2.0, -2.0, 1.0]
    assert model.category.weight.tolist() == [[2.0, 2.0], [-2.0, -2.0], [1.0, 1.0]]
    assert (model.other.weight == 7).all()  # the rest is taken as it is
    assert told == [f"2 of 3 classes start from {path}: dog, cat; fresh: fox."]


@pytest.mark.parametrize(
    ("names", "expected", "told"),
    [
        (["cow", "cat", "dog"], [3.0, 1.0, 2.0], "3 of 3 classes start from PATH: cow, cat, dog."),
        (PETS, [1.0, 2.0, 3.0], None),
        (["Cat", "DOG", "cow"], [1.0, 2.0, 3.0], None),
        (
            ["a", "b", "c"],
            [0.0] * 3,
            "None of the 3 classes is one of PATH; all start fresh: a, b, c.",
        ),
        ([], [1.0, 2.0, 3.0], None),  # unknown, and as many
    ],
)
def test_as_many_classes(tmp_path, begin, names, expected, told):
    path = pets_file(tmp_path)
    model = Rows([0.0] * 3)
    assert begin(model, path, names) == ([told.replace("PATH", path)] if told else [])
    assert model.category.bias.tolist() == expected


class Other(Rows):
    """Rows beside which nothing has a number of them."""

    def __init__(self, rows: list[float], width: int = 2) -> None:
        super().__init__(rows, width)
        self.other = nn.Linear(2, 2)


def test_fewer_and_more_classes(tmp_path, begin):
    path = saved(Other([1.0, 2.0, 3.0]), tmp_path / "pets.pth", PETS)
    fewer = Other([0.0])
    assert begin(fewer, path, ["cow"]) == [f"1 of 1 classes start from {path}: cow."]
    assert fewer.category.bias.tolist() == [3.0]
    more = Other([0.0] * 5)
    assert begin(more, path, ["a", "cat", "b", "cow", "c"]) == [
        f"2 of 5 classes start from {path}: cat, cow; fresh: a, b, c."
    ]
    assert more.category.bias.tolist() == [0.0, 1.0, 0.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("saved_names", "names", "reason"),
    [
        ([], ["a", "b"], "that does not name its own"),
        (PETS, [], "the data set does not name them"),
    ],
)
def test_unknown_names_of_another_number_start_fresh(tmp_path, begin, saved_names, names, reason):
    path = saved(Other([1.0, 2.0, 3.0]), tmp_path / "pets.pth", saved_names)
    model = Other([-1.0, -2.0])
    (told,) = begin(model, path, names)
    assert told == f"All 2 classes start fresh, and none of the 3 of {path} goes on: {reason}."
    assert model.category.bias.tolist() == [-1.0, -2.0]


def test_what_differs_in_more_than_classes_is_refused(tmp_path, begin):
    path = saved(Rows([1.0, 2.0, 3.0], width=4), tmp_path / "pets.pth", PETS)
    model = Rows([0.0] * 3)
    match = r"category\.weight is \[3, 4\] in the checkpoint and \[3, 2\]"
    with pytest.raises(UserError, match=match):
        begin(model, path, ["dog", "cat", "cow"])
    assert model.category.bias.tolist() == [0.0] * 3
    # Other rows than those that are declared are not guessed to be classes.
    with pytest.raises(UserError, match=r"other\.weight is \[3, 2\]"):
        begin(Rows([0.0] * 2), pets_file(tmp_path), ["cat", "dog"])


def test_what_declares_no_rows_takes_no_other_classes(tmp_path, begin):
    path = saved(Undeclared([1.0, 2.0]), tmp_path / "pets.pth", ["cat", "dog"])
    for names in (["dog", "cat"], ["cat", "dog", "cow"]):
        with pytest.raises(UserError, match=r"\(cat, dog\).*if the head has category_parameters"):
            begin(Undeclared([0.0] * len(names)), path, names)


def test_an_evaluation_and_a_resumed_run_refuse_other_classes(tmp_path):
    path = pets_file(tmp_path)
    for complete in (False, True):
        for names in (["dog", "cat", "cow"], ["a", "b", "c"]):
            model = Rows([0.0] * 3)
            with pytest.raises(UserError, match=r"3 classes \(cat, dog, cow\).*taken over by name"):
                SOLOCheckpointer(model, class_names=names, complete=complete).load(path)
            assert model.category.bias.tolist() == [0.0] * 3
    SOLOCheckpointer(Rows([0.0] * 3), class_names=["Cat", "dog", "cow"], complete=True).load(path)


def test_every_head_starts_its_own_classes_fresh(variant, tmp_path, begin):
    cfg = make_cfg(variant)
    path = saved(build(cfg, seed=1), tmp_path / "pets.pth", PETS)
    before = build(cfg, seed=1).state_dict()
    cfg.MODEL.SOLO.NUM_CLASSES = 4
    model, fresh = build(cfg, seed=2), build(cfg, seed=2)
    assert begin(model, path, ["fox", "dog", "hen", "cat"]) == [
        f"2 of 4 classes start from {path}: dog, cat; fresh: fox, hen."
    ]
    prefix = "head.category_predictor."
    for key, value in model.state_dict().items():
        if not key.startswith(prefix):
            assert torch.equal(value, before[key]), key
            continue
        for row, source in ((1, 1), (3, 0)):
            assert torch.equal(value[row], before[key][source]), key
        for row in (0, 2):
            assert torch.equal(value[row], fresh.state_dict()[key][row]), key
    prior = -math.log(0.99 / 0.01)
    assert model.state_dict()[prefix + "bias"][[0, 2]].tolist() == pytest.approx([prior] * 2)


METAS = {
    "mmdet 3": {"dataset_meta": {"classes": ("cat", "dog", "cow"), "palette": [(1, 2, 3)] * 3}},
    "mmdet 3, migrated": {"dataset_meta": {"CLASSES": PETS}},
    "mmdet 2": {"CLASSES": ("cat", "dog", "cow")},
}


@pytest.mark.parametrize("meta", METAS.values(), ids=METAS.keys())
def test_a_foreign_file_tells_its_classes_in_meta(cfg, tmp_path, begin, meta):
    theirs = build(cfg, seed=1)
    path = tmp_path / "epoch_12.pth"
    write_checkpoint({"state_dict": to_mmdet(theirs.state_dict()), "meta": meta}, path)
    cfg.MODEL.SOLO.NUM_CLASSES = 2
    model = build(cfg, seed=2)
    fresh = model.head.category_predictor.bias[1].item()
    assert begin(model, path, ["cow", "fox"]) == [
        f"1 of 2 classes start from {path}: cow; fresh: fox."
    ]
    ours, their = model.head.category_predictor, theirs.head.category_predictor
    assert torch.equal(ours.weight[0], their.weight[2])
    assert ours.bias[1] == fresh
    cfg.MODEL.SOLO.NUM_CLASSES = 3
    evaluation = SOLOCheckpointer(build(cfg), class_names=["dog", "cat", "cow"], complete=True)
    with pytest.raises(UserError, match=r"3 classes \(cat, dog, cow\)"):
        evaluation.load(str(path))


def test_80_classes_without_names_are_those_of_coco(cfg, tmp_path, begin):
    cfg.MODEL.SOLO.NUM_CLASSES = 80
    theirs = build(cfg, seed=1)
    path = tmp_path / "epoch_36.pth"
    write_checkpoint({"state_dict": to_mmdet(theirs.state_dict())}, path)
    cfg.MODEL.SOLO.NUM_CLASSES = 2
    model = build(cfg, seed=2)
    assert len(begin(model, path, ["toothbrush", "fox"])) == 1
    ours, their = model.head.category_predictor, theirs.head.category_predictor
    assert torch.equal(ours.weight[0], their.weight[79])


def test_names_of_meta_that_are_not_of_the_weights_are_not_compared(cfg, tmp_path, begin):
    theirs = build(cfg, seed=1)
    path = tmp_path / "epoch_12.pth"
    meta = {"CLASSES": coco_class_names()}
    write_checkpoint({"state_dict": to_mmdet(theirs.state_dict()), "meta": meta}, path)
    model = build(cfg, seed=2)
    SOLOCheckpointer(model, class_names=PETS, complete=True).load(str(path))
    assert torch.equal(model.head.category_predictor.bias, theirs.head.category_predictor.bias)
    assert begin(model, path, PETS) == []


def test_names_are_the_same_in_other_spellings():
    known = ["traffic light", "Cat", "cat", "stop_sign"]
    assert match_classes(["Traffic_Light", "cat", "CAT", "stop-sign", "cats"], known) == [
        0,
        2,
        1,
        3,
        None,
    ]
    assert match_classes(["tv", "diningtable"], ["dining table", "tvs"]) == [None, 0]
    assert same_classes(["Straße", "a  b"], ["STRASSE", "a_b"])
    assert not same_classes(["a", "b"], ["b", "a"])
    assert not same_classes(["a"], ["a", "b"])
    assert not same_classes(["-"], ["_"])


def test_carried_names():
    assert carried_class_names({"class_names": ["a"], "meta": {"CLASSES": ["b"]}}) == ["a"]
    assert carried_class_names({"meta": {"CLASSES": "cat"}}) == ["cat"]
    for content in ({}, {"meta": 3}, {"meta": {"CLASSES": [1, 2], "dataset_meta": "x"}}):
        assert carried_class_names(content) == []
    names = coco_class_names()
    assert (len(names), names[0], names[-1]) == (80, "person", "toothbrush")


def test_the_background_of_a_softmax_is_the_row_after_the_classes(tmp_path, begin):
    path = saved(Other([1.0, 2.0, 3.0, 9.0]), tmp_path / "pets.pth", PETS)
    model = Other([-1.0, -2.0, -4.0])
    told = begin(model, path, ["dog", "fox"])
    assert model.category.bias.tolist() == [2.0, -2.0, 9.0]
    assert told == [f"1 of 2 classes start from {path}: dog; fresh: fox."]
    # From a sigmoid per class: there is no background to go on from.
    model = Other([-1.0, -2.0, -3.0, -4.0])
    begin(model, saved(Other([1.0, 2.0, 3.0]), tmp_path / "plain.pth", PETS), PETS)
    assert model.category.bias.tolist() == [1.0, 2.0, 3.0, -4.0]
