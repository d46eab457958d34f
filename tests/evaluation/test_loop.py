"""The loop, with an evaluator that only remembers."""

import logging

import pytest
import torch
from detectron2.evaluation import DatasetEvaluator
from torch import nn

from solo.evaluation import loop
from solo.evaluation.loop import run_evaluation

BATCHES = [[{"image_id": 3}, {"image_id": 4}], [{"image_id": 5}]]


class Memory(DatasetEvaluator):
    """Keeps what it is given, and returns it as its results."""

    def reset(self):
        self.seen = {}

    def process(self, inputs, outputs):
        for item, output in zip(inputs, outputs, strict=True):
            self.seen[item["image_id"]] = output

    def evaluate(self, image_ids=None):
        return {key: self.seen[key] for key in image_ids or self.seen}


class Half(nn.Module):
    """Half of it is trained; tells its modes."""

    def __init__(self):
        super().__init__()
        self.trained, self.frozen = nn.Dropout(), nn.Dropout()
        self.frozen.eval()

    @property
    def modes(self):
        return [part.training for part in self.modules()]

    def forward(self, batch):
        return [(*self.modes, torch.is_grad_enabled()) for _ in batch]


def test_each_output_meets_its_input():
    evaluator = Memory()
    evaluator.reset()
    evaluator.seen[77] = "of an earlier evaluation"
    results = run_evaluation(
        lambda batch: [item["image_id"] + 10 for item in batch], BATCHES, evaluator
    )
    assert results == {3: 13, 4: 14, 5: 15}


def test_some_images_alone_count():
    find = lambda batch: [None for _ in batch]  # noqa: E731
    assert list(run_evaluation(find, BATCHES, Memory(), image_ids=[4])) == [4]


def test_another_process_than_the_main_one_has_no_results(monkeypatch):
    monkeypatch.setattr(Memory, "evaluate", lambda self: None)
    assert run_evaluation(lambda batch: [None for _ in batch], BATCHES, Memory()) == {}


def test_a_model_is_in_eval_mode_meanwhile():
    model = Half()
    results = run_evaluation(model, BATCHES, Memory())
    assert set(results.values()) == {(False, False, False, False)}
    assert model.modes == [True, True, False] and torch.is_grad_enabled()


def test_an_error_puts_the_mode_back():
    model = Half()
    model.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_evaluation(model, BATCHES, Memory())
    assert model.modes == [True, True, False] and torch.is_grad_enabled()


@pytest.mark.parametrize("number", [3, 9])
def test_the_log_tells_how_far_it_is(caplog, monkeypatch, number):
    monkeypatch.setattr(loop, "_TELL_EVERY", 0)
    with caplog.at_level(logging.INFO):
        run_evaluation(Half(), [BATCHES[1]] * number, Memory(), name="squares")
    first, *between, last = caplog.messages
    assert first == f"Evaluating on squares: {number} batches."
    # The fifth batch is the last one of the warm-up: from there on the time is taken.
    assert [text.split(".")[0] for text in between] == [
        f"Inference done {done}/{number}" for done in range(1, number + 1) if done != 5
    ]
    assert all(". ETA 0:00:00" in text for text in between)
    assert last.startswith("Found the instances of squares. Seconds a batch: 0.0")
    assert all(step in last for step in ("(data 0.", "model 0.", "evaluator 0."))
