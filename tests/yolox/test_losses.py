"""YOLOX's losses, against sums over the points one by one, and their gradients."""

import math

import pytest
import torch
from detectron2.structures import Boxes, Instances

from solo.yolox.assign import SimOTA
from solo.yolox.head import Raw, decode
from solo.yolox.losses import Losses, encode
from tests.yolox.drawn_images import draw_image

WEIGHTS = {"loss_box": 5.0, "loss_objectness": 1.0, "loss_category": 1.0, "loss_l1": 1.0}
LOSSES = Losses(SimOTA(), WEIGHTS, l1_start=0)


def a_batch(*seeds: int) -> tuple[Raw, list[Instances]]:
    images = [draw_image(seed) for seed in seeds]
    first = images[0].raw
    parts = (torch.cat(parts) for parts in zip(*(image.raw[:3] for image in images), strict=True))
    return Raw(*parts, first.points, first.strides), [image.truth for image in images]


def logistic(logit: float, target: float) -> float:
    return max(logit, 0) - logit * target + math.log1p(math.exp(-abs(logit)))


def losses_by_loops(raw: Raw, truth: list[Instances]) -> dict[str, float]:
    sums, positives = dict.fromkeys(WEIGHTS, 0.0), 0
    for image, instances in enumerate(truth):
        boxes = decode(raw.boxes[image], raw.points, raw.strides)
        outputs = boxes, raw.objectness[image], raw.categories[image]
        annotated = instances.gt_boxes.tensor, instances.gt_classes
        objects = SimOTA()(*outputs, raw.points, raw.strides, *annotated).objects.tolist()
        for point, number in enumerate(objects):
            sums["loss_objectness"] += logistic(float(outputs[1][point]), float(number >= 0))
            if number < 0:
                continue
            positives += 1
            left, top, right, bottom = boxes[point].tolist()
            x0, y0, x1, y1 = annotated[0][number].tolist()
            width, height = min(right, x1) - max(left, x0), min(bottom, y1) - max(top, y0)
            shared = width * height if width > 0 and height > 0 else 0.0
            areas = (right - left) * (bottom - top) + (x1 - x0) * (y1 - y0)
            iou = shared / (areas - shared)
            sums["loss_box"] += 1 - iou**2
            for kind, logit in enumerate(outputs[2][point].tolist()):
                wanted = iou if kind == int(annotated[1][number]) else 0.0
                sums["loss_category"] += logistic(logit, wanted)
            (x, y), stride = raw.points[point].tolist(), float(raw.strides[point])
            target = (
                ((x0 + x1) / 2 - x) / stride,
                ((y0 + y1) / 2 - y) / stride,
                math.log((x1 - x0) / stride + 1e-8),
                math.log((y1 - y0) / stride + 1e-8),
            )
            for found, wanted in zip(raw.boxes[image, point].tolist(), target, strict=True):
                sums["loss_l1"] += abs(found - wanted)
    return {name: WEIGHTS[name] * total / max(positives, 1) for name, total in sums.items()}


@pytest.mark.parametrize("seeds", [(0, 1, 2), (3, 4), (5,)])
def test_losses_are_those_of_loops(seeds: tuple[int, ...]) -> None:
    raw, truth = a_batch(*seeds)
    losses = LOSSES(raw, truth, 0)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        losses_by_loops(raw, truth), rel=1e-5
    )


def test_raw_outputs_have_no_loss_before_the_last_phase() -> None:
    raw, truth = a_batch(0, 1)
    of_run = Losses(SimOTA(), WEIGHTS, l1_start=7)
    early, late = of_run(raw, truth, 6), of_run(raw, truth, 7)
    assert of_run(raw, truth).keys() == early.keys()
    assert set(late) - set(early) == {"loss_l1"}
    assert all(torch.equal(loss, late[name]) for name, loss in early.items())


def test_without_objects_all_outputs_have_a_gradient() -> None:
    raw, _ = a_batch(0, 1)
    empty = Instances((96, 96), gt_boxes=Boxes(torch.zeros(0, 4)))
    empty.gt_classes = torch.zeros(0, dtype=torch.int64)
    raw = Raw(*(part.requires_grad_() for part in raw[:3]), *raw[3:])
    losses = LOSSES(raw, [empty, empty], 0)
    torch.stack(list(losses.values())).sum().backward()
    assert losses["loss_box"] == losses["loss_category"] == losses["loss_l1"] == 0
    assert raw.boxes.grad is not None and (raw.boxes.grad == 0).all()
    assert raw.categories.grad is not None and (raw.categories.grad == 0).all()
    assert raw.objectness.grad is not None and (raw.objectness.grad != 0).all()


def test_the_target_of_a_class_passes_no_gradient_on() -> None:
    raw, truth = a_batch(0)
    raw = Raw(raw.boxes.requires_grad_(), *raw[1:])
    losses = LOSSES(raw, truth)
    assert losses["loss_box"].requires_grad and not losses["loss_category"].requires_grad


def test_the_gradient_of_boxes_is_that_of_finite_differences() -> None:
    raw, truth = a_batch(2)
    boxes = raw.boxes.clone().requires_grad_()

    def loss(boxes: torch.Tensor) -> torch.Tensor:
        losses = LOSSES(raw._replace(boxes=boxes), truth, 0)
        return losses["loss_box"] + losses["loss_l1"]

    total = loss(boxes)
    total.backward()
    assert boxes.grad is not None
    direction = boxes.grad / boxes.grad.norm()
    with torch.no_grad():
        step = 1e-3 * direction
        slope = (loss(boxes + step) - loss(boxes - step)) / 2e-3
    assert float(slope) == pytest.approx(float(boxes.grad.norm()), rel=2e-2)


def test_encoding_is_undone_by_decoding() -> None:
    drawn = draw_image(3)
    raw = encode(drawn.boxes, drawn.raw.points, drawn.raw.strides)
    again = decode(raw, drawn.raw.points, drawn.raw.strides)
    torch.testing.assert_close(again, drawn.boxes, atol=1e-3, rtol=1e-5)


def test_workers_with_unequal_shares_take_the_step_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, truth = a_batch(0, 1, 2, 3)
    whole = LOSSES(raw, truth, 0)
    shares = [slice(0, 1), slice(1, 4)]
    counts: list[torch.Tensor] = []
    monkeypatch.setattr("solo.yolox.losses.sum_over_workers", lambda n: counts.append(n) or n)
    parts = [(Raw(*(part[share] for part in raw[:3]), *raw[3:]), truth[share]) for share in shares]
    for part in parts:
        LOSSES(*part, 0)
    # What each of two processes would have: the count of both.
    assert counts[0] != counts[1] and min(counts) > 0
    monkeypatch.setattr("solo.yolox.losses.sum_over_workers", lambda _: sum(counts))
    monkeypatch.setattr("solo.yolox.losses.comm.get_world_size", lambda: 2)
    each = [LOSSES(*part, 0) for part in parts]
    for name, loss in whole.items():
        torch.testing.assert_close((each[0][name] + each[1][name]) / 2, loss)
