"""The head with anchors: its matching, ignored points and losses against loops, its boxes and scores by hand."""

import math
from typing import NamedTuple

import cv2
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from torchvision.ops import complete_box_iou_loss

from solo.checkpoint import write_checkpoint
from solo.config.choices import Matching
from solo.errors import UserError
from solo.export.export import ExportRequest, export_model
from solo.yolox.anchors import AnchorHead, AnchorLosses, AnchorMatcher, complete_iou
from solo.yolox.blocks import DropBlock
from solo.yolox.detect import best_classes
from solo.yolox.head import Raw, decode
from tests.conftest import training_item
from tests.export.conftest import PICTURES
from tests.yolox.conftest import make_yolox_cfg
from tests.yolox.drawn_images import STRIDES, draw_image

# Two a level, for images of 96 pixels.
LEVELS = [[(6.0, 9.0), (12.0, 8.0)], [(18.0, 26.0), (30.0, 16.0)], [(36.0, 52.0), (64.0, 48.0)]]
SIZES = tuple(size for level in LEVELS for size in level)
RATIO, IGNORED = 2.0, 0.4
WEIGHTS = {"loss_box": 5.0, "loss_objectness": 1.0, "loss_category": 0.5, "loss_iou": 2.0}
BOTH = pytest.mark.parametrize("matching", list(Matching))


def matcher(matching: Matching) -> AnchorMatcher:
    return AnchorMatcher(SIZES, matching, RATIO, IGNORED)


def a_batch(*seeds: int) -> tuple[Raw, list[Instances]]:
    """Return what a head says of images of up to 40 objects, with two anchors in each cell."""
    images = [draw_image(seed, most=40) for seed in seeds]
    raw = images[0].raw
    parts = [torch.cat(parts) for parts in zip(*(image.raw[:3] for image in images), strict=True)]
    generator = torch.Generator().manual_seed(seeds[0])
    twice = [
        torch.cat([part, part + 0.1 * torch.randn(part.shape, generator=generator)], dim=1)
        for part in parts
    ]
    levels = torch.tensor([STRIDES.index(int(stride)) for stride in raw.strides])
    strides, points = torch.cat([raw.strides] * 2), torch.cat([raw.points] * 2)
    anchors = torch.cat([2 * levels, 2 * levels + 1])
    ious = torch.randn(twice[1].shape, generator=generator)
    truth = [image.truth for image in images]
    return Raw(*twice, points, strides, anchors, ious), truth


class Known(NamedTuple):
    objects: list[int]
    ignored: list[bool]
    claims: list[int]  # how many objects claim each point


def share(one: list[float], other: list[float]) -> float:
    """Return the IoU of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def cells_by_hand(center: float, stride: int, count: int, matching: Matching) -> list[int]:
    """Return the cell of a centre on one axis, then its nearest neighbour if that counts and there is one."""
    cell = min(max(int(center // stride), 0), count - 1)
    beside = cell - 1 if center / stride - cell < 0.5 else cell + 1
    is_one = matching == Matching.RATIO and 0 <= beside < count
    return [cell, beside] if is_one else [cell]


def match_by_loops(
    raw: Raw, boxes: list[list[float]], truth: list[list[float]], matching: Matching
) -> Known:
    places = zip(raw.points.tolist(), raw.strides.tolist(), raw.anchors.tolist(), strict=True)
    numbers = {
        (int(x / stride), int(y / stride), anchor): number
        for number, ((x, y), stride, anchor) in enumerate(places)
    }
    claims: dict[int, list[tuple[float, int]]] = {}
    for number, (left, top, right, bottom) in enumerate(truth):
        width, height = right - left, bottom - top
        fits = [share([0, 0, width, height], [0, 0, *size]) for size in SIZES]
        for anchor, (w, h) in enumerate(SIZES):
            if matching == Matching.BEST and anchor != fits.index(max(fits)):
                continue
            if matching == Matching.RATIO:
                ratios = width / w, w / width, height / h, h / height
                if max(ratios) >= RATIO:
                    continue
            stride = STRIDES[anchor // 2]
            x, *x_beside = cells_by_hand((left + right) / 2, stride, 96 // stride, matching)
            y, *y_beside = cells_by_hand((top + bottom) / 2, stride, 96 // stride, matching)
            for cell in [(x, y), *((one, y) for one in x_beside), *((x, one) for one in y_beside)]:
                claims.setdefault(numbers[(*cell, anchor)], []).append((fits[anchor], -number))
    objects = [-max(claims[point])[1] if point in claims else -1 for point in range(len(boxes))]
    ignored = [
        number < 0 and any(share(box, one) > IGNORED for one in truth)
        for number, box in zip(objects, boxes, strict=True)
    ]
    return Known(objects, ignored, [len(claims.get(point, ())) for point in range(len(boxes))])


def known_of(raw: Raw, image: int, truth: Instances, matching: Matching) -> Known:
    boxes = decode(raw.boxes[image], raw.points, raw.strides).tolist()
    return match_by_loops(raw, boxes, truth.gt_boxes.tensor.tolist(), matching)


@BOTH
def test_matches_and_ignored_points_are_those_of_loops(matching: Matching) -> None:
    raw, truth = a_batch(*range(6))
    positives = shared = ignored = 0
    for image, item in enumerate(truth):
        boxes = decode(raw.boxes[image], raw.points, raw.strides)
        found = matcher(matching)(boxes, raw.points, raw.strides, raw.anchors, item.gt_boxes.tensor)
        known = known_of(raw, image, item, matching)
        assert found[0].tolist() == known.objects
        assert found[1].tolist() == known.ignored
        positives += sum(number >= 0 for number in known.objects)
        shared += sum(count > 1 for count in known.claims)
        ignored += sum(known.ignored)
    assert positives > 50 and shared > 5 and ignored > 100


def matched(matching: Matching, boxes: list[list[float]]) -> dict[tuple[int, int, int], int]:
    """Return which object (anchor, column, row) learn, where nothing was found."""
    raw, _ = a_batch(0)
    nothing = torch.cat([raw.points, raw.points], dim=1)
    objects, _ = matcher(matching)(
        nothing, raw.points, raw.strides, raw.anchors, torch.tensor(boxes).view(-1, 4)
    )
    places = (raw.points / raw.strides[:, None]).int().tolist()
    return {
        (int(raw.anchors[point]), *places[point]): int(objects[point])
        for point in (objects >= 0).nonzero()[:, 0]
    }


def test_cells_by_hand() -> None:
    # Centre 34, 13: column 4 and a quarter, row 1 and five eighths of stride 8.
    box = [31.0, 8.5, 37.0, 17.5]
    assert matched(Matching.BEST, [box]) == {(0, 4, 1): 0}
    assert matched(Matching.RATIO, [box]) == {(0, 4, 1): 0, (0, 3, 1): 0, (0, 4, 2): 0}


def test_a_centre_on_the_edge_or_beyond_is_in_the_last_cell() -> None:
    edge, beyond = [93.0, 91.5, 99.0, 100.5], [-9.0, 91.5, -3.0, 100.5]
    assert matched(Matching.BEST, [edge, beyond]) == {(0, 11, 11): 0, (0, 0, 11): 1}


@BOTH
def test_a_shared_point_goes_to_the_better_fit_in_any_order(matching: Matching) -> None:
    exact, close = [31.0, 8.5, 37.0, 17.5], [31.5, 9.0, 36.5, 17.0]
    assert set(matched(matching, [exact, close]).values()) == {0}
    assert set(matched(matching, [close, exact]).values()) == {1}


def test_an_object_like_no_anchor_is_learnt_by_the_best_or_by_none() -> None:
    thin = [2.0, 40.0, 94.0, 42.0]
    assert len(matched(Matching.BEST, [thin])) == 1
    assert matched(Matching.RATIO, [thin]) == {}
    assert matched(Matching.BEST, []) == {}


def ciou_by_hand(
    one: list[float], other: list[float], weight: float | None = None
) -> tuple[float, float]:
    """Return the CIoU, and the weight of its last part; a weight that is given is taken."""
    iou = share(one, other)
    sides = [(box[2] - box[0], box[3] - box[1]) for box in (one, other)]
    apart = sum(((one[k] + one[k + 2] - other[k] - other[k + 2]) / 2) ** 2 for k in (0, 1))
    hull = sum((max(one[k + 2], other[k + 2]) - min(one[k], other[k])) ** 2 for k in (0, 1))
    angles = [math.atan(width / height) for width, height in sides]
    shape = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    weight = shape / (1 - iou + shape + 1e-7) if weight is None else weight
    return iou - apart / hull - weight * shape, weight


def some_boxes() -> tuple[torch.Tensor, torch.Tensor]:
    """Return pairs that overlap, and a few that do not."""
    generator = torch.Generator().manual_seed(0)
    low = 40 * torch.rand(2, 60, 2, generator=generator, dtype=torch.float64)
    sides = 2 + 40 * torch.rand(2, 60, 2, generator=generator, dtype=torch.float64)
    found, wanted = torch.cat([low, low + sides], dim=-1)
    return found.requires_grad_(), wanted


def test_ciou_and_its_gradient_are_those_of_torchvision() -> None:
    found, wanted = some_boxes()
    known = complete_box_iou_loss(found, wanted)
    ours = 1 - complete_iou(found, wanted)
    torch.testing.assert_close(ours, known, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(loss.sum(), found)[0] for loss in (ours, known)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_ciou_is_that_of_finite_differences() -> None:
    found, wanted = some_boxes()
    values = complete_iou(found, wanted)
    (gradient,) = torch.autograd.grad(values.sum(), found)
    for row, (one, other) in enumerate(zip(found.tolist(), wanted.tolist(), strict=True)):
        value, weight = ciou_by_hand(one, other)
        assert float(values[row]) == pytest.approx(value, abs=1e-6)
        for k in range(4):
            moved = [[*one[:k], one[k] + step, *one[k + 1 :]] for step in (1e-5, -1e-5)]
            # The weight has no gradient.
            ends = [ciou_by_hand(box, other, weight)[0] for box in moved]
            assert float(gradient[row, k]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)


def logistic(logit: float, target: float) -> float:
    return max(logit, 0) - logit * target + math.log1p(math.exp(-abs(logit)))


def losses_by_loops(raw: Raw, truth: list[Instances], matching: Matching) -> dict[str, float]:
    sums, positives = dict.fromkeys(WEIGHTS, 0.0), 0
    for image, item in enumerate(truth):
        boxes = decode(raw.boxes[image], raw.points, raw.strides).tolist()
        known = known_of(raw, image, item, matching)
        for point, number in enumerate(known.objects):
            if not known.ignored[point]:
                logit = float(raw.objectness[image, point])
                sums["loss_objectness"] += logistic(logit, float(number >= 0))
            if number < 0:
                continue
            positives += 1
            wanted = item.gt_boxes.tensor[number].tolist()
            sums["loss_box"] += 1 - ciou_by_hand(boxes[point], wanted)[0]
            iou = share(boxes[point], wanted)
            sums["loss_iou"] += logistic(float(raw.ious[image, point]), iou)
            for kind, logit in enumerate(raw.categories[image, point].tolist()):
                sums["loss_category"] += logistic(logit, float(kind == item.gt_classes[number]))
    return {name: WEIGHTS[name] * total / max(positives, 1) for name, total in sums.items()}


@BOTH
def test_losses_are_those_of_loops(matching: Matching) -> None:
    raw, truth = a_batch(1, 2, 3)
    losses = AnchorLosses(matcher(matching), WEIGHTS)(raw, truth)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        losses_by_loops(raw, truth, matching), rel=1e-5
    )
    without = AnchorLosses(matcher(matching), WEIGHTS)(raw._replace(ious=None), truth)
    assert without == {name: loss for name, loss in losses.items() if name != "loss_iou"}


def test_without_objects_all_outputs_have_a_gradient() -> None:
    raw, _ = a_batch(0, 1)
    empty = Instances((96, 96), gt_boxes=Boxes(torch.zeros(0, 4)))
    empty.gt_classes = torch.zeros(0, dtype=torch.int64)
    outputs = [part.requires_grad_() for part in (*raw[:3], raw.ious)]
    losses = AnchorLosses(matcher(Matching.RATIO), WEIGHTS)(
        Raw(*outputs[:3], *raw[3:6], outputs[3]), [empty, empty]
    )
    torch.stack(list(losses.values())).sum().backward()
    assert losses["loss_box"] == losses["loss_category"] == losses["loss_iou"] == 0
    assert all(part.grad is not None for part in outputs)
    assert (raw.objectness.grad > 0).all()


def test_workers_with_unequal_shares_take_the_step_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, truth = a_batch(1, 2, 3)
    losses = AnchorLosses(matcher(Matching.BEST), WEIGHTS)
    whole, shares = losses(raw, truth), (slice(0, 1), slice(1, 3))

    def of_workers() -> list[dict[str, torch.Tensor]]:
        return [
            losses(
                raw._replace(
                    boxes=raw.boxes[share],
                    objectness=raw.objectness[share],
                    categories=raw.categories[share],
                    ious=raw.ious[share],
                ),
                truth[share],
            )
            for share in shares
        ]

    counts: list[torch.Tensor] = []
    monkeypatch.setattr("solo.yolox.losses.sum_over_workers", lambda n: counts.append(n) or n)
    of_workers()
    assert counts[0] != counts[1] and min(counts) > 0
    # What each of two processes would have: the count of both.
    monkeypatch.setattr("solo.yolox.losses.sum_over_workers", lambda _: sum(counts))
    monkeypatch.setattr("solo.yolox.losses.comm.get_world_size", lambda: 2)
    one, other = of_workers()
    for name, loss in whole.items():
        torch.testing.assert_close((one[name] + other[name]) / 2, loss)


def a_head(iou_share: float = 0.0) -> tuple[AnchorHead, list[torch.Tensor]]:
    torch.manual_seed(0)
    head = AnchorHead([4] * 3, strides=STRIDES, sizes=LEVELS, num_classes=3, iou_share=iou_share)
    return head, [torch.randn(2, 4, 32 // stride, 64 // stride) for stride in STRIDES]


def test_what_a_head_says_that_corrects_nothing() -> None:
    head, features = a_head()
    for predictor in head.anchor_predictors:
        torch.nn.init.zeros_(predictor.weight), torch.nn.init.zeros_(predictor.bias)
    raw = head(features)
    # Two anchors of 4 x 8, 2 x 4 and 1 x 2 cells.
    assert torch.bincount(raw.anchors).tolist() == [32, 32, 8, 8, 2, 2]
    middles, sides = raw.points + raw.strides[:, None] / 2, torch.tensor(SIZES)[raw.anchors]
    known = torch.cat([middles - sides / 2, middles + sides / 2], dim=1)
    torch.testing.assert_close(decode(raw.boxes, raw.points, raw.strides), known.expand(2, -1, -1))
    assert head.category_parameters[0].shape[0] == 3 and raw.categories.shape == (2, 84, 3)
    assert all(
        torch.equal(one, other)
        for one, other in zip(head.eval()(features)[:5], raw[:5], strict=True)
    )


def test_boxes_have_limits() -> None:
    head, features = a_head()
    for predictor in head.anchor_predictors:
        torch.nn.init.constant_(predictor.bias, 1e4)
    low, high = decode(*(head(features)[place] for place in (0, 3, 4))).split(2, dim=-1)
    torch.testing.assert_close(high[0, 0] - low[0, 0], math.exp(4) * torch.tensor(SIZES[0]))
    torch.testing.assert_close((high + low)[0, 0] / 2, torch.tensor([12.0, 12.0]))


def test_the_score_has_its_share_of_the_iou() -> None:
    head, features = a_head(iou_share=0.4)
    raw = head(features)
    known = raw.objectness.sigmoid() ** 0.6 * raw.ious.sigmoid() ** 0.4
    at_test = head.eval()(features)
    torch.testing.assert_close(at_test.objectness.sigmoid(), known)
    scores = known[0] * raw.categories[0].sigmoid().amax(dim=1)
    torch.testing.assert_close(best_classes(at_test, 0).scores, scores)


def anchor_cfg(**keys):
    cfg = make_yolox_cfg(HEAD="anchors")
    cfg.MODEL.YOLOX.ANCHORS.SIZES = [[[8, 8]], [[20, 20], [24, 16]], [[40, 40]]]
    for key, value in keys.items():
        cfg.MODEL.YOLOX.ANCHORS[key] = value
    return cfg


@pytest.mark.parametrize("keys", [{}, {"MATCHING": "ratio", "IOU_SHARE": 0.5}])
def test_a_model_learns_a_batch(keys) -> None:
    cfg = anchor_cfg(**keys)
    cfg.MODEL.YOLOX.DROPBLOCK.PROB = 0.05
    torch.manual_seed(0)
    model = build_model(cfg).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    batch, totals = [training_item(), training_item(seed=1)], []
    for _ in range(25):
        losses = model(batch)
        assert ("loss_iou" in losses) is ("IOU_SHARE" in keys)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total))
    assert totals[-1] < totals[0] / 2
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    with torch.no_grad():
        found, again = (model.eval()(batch)[0]["instances"] for _ in range(2))
    assert torch.equal(found.scores, again.scores)


# A few seconds to trace, and a few to translate.
@pytest.mark.slow
def test_an_exported_model_finds_the_same(tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    cfg = anchor_cfg(IOU_SHARE=0.4)
    cfg.INPUT.MIN_SIZE_TEST = cfg.INPUT.MAX_SIZE_TEST = 128
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = ()
    cfg.MODEL.YOLOX.PRIOR_PROB, cfg.MODEL.YOLOX.TEST.SCORE_THRESH = 0.5, 0.3
    torch.manual_seed(0)
    model = build_model(cfg).train()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        images = [torch.from_numpy(picture.transpose(2, 0, 1).copy()) for picture in PICTURES]
        model.run_network(model.preprocess([{"image": image} for image in images]).tensor)
        for predictor in (*model.head.anchor_predictors, *model.head.category_predictors):
            torch.nn.init.normal_(predictor.weight, std=0.2)
    weights, config = tmp_path / "weights.pth", tmp_path / "config.yaml"
    write_checkpoint({"model": model.state_dict(), "class_names": [*"abc"]}, weights)
    config.write_text(cfg.dump())
    paths = [tmp_path / f"{number}.png" for number in range(len(PICTURES))]
    for path, picture in zip(paths, PICTURES, strict=True):
        cv2.imwrite(str(path), picture)
    done = export_model(
        ExportRequest(
            config_file=config, weights=str(weights), output=tmp_path / "out", images=paths
        )
    )
    assert done.agreement.instances > 20 and not done.agreement.differences


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"SIZES": [[[8, 8]]]}, r"SIZES is \[\[\[8, 8\]\]\]: give .* each of dark3, dark4, dark5"),
        ({"SIZES": [[[8, 8]], [[8, 0]], [[9, 9]]]}, "SIZES is"),
        ({"SIZES": [8, 8, 8]}, "SIZES is"),
        ({"IOU_SHARE": 1.0}, "IOU_SHARE is 1.0; give 0, or less than 1"),
        ({"MATCHING": "simota"}, "MATCHING is 'simota'; use one of best, ratio"),
    ],
)
def test_wrong_keys_are_told(keys, told) -> None:
    with pytest.raises(UserError, match=told):
        build_model(anchor_cfg(**keys))


@pytest.mark.parametrize(("key", "value"), [("PROB", 1.0), ("SIZE", 4), ("SIZE", -1)])
def test_wrong_blocks_are_told(key, value) -> None:
    cfg = make_yolox_cfg()
    cfg.MODEL.YOLOX.DROPBLOCK[key] = value
    with pytest.raises(UserError, match=f"DROPBLOCK.{key} is {value}; give"):
        build_model(cfg)


def test_blocks_are_dropped_in_training_only() -> None:
    features = torch.ones(2, 8, 32, 32)
    drop = DropBlock(0.2, 5)
    assert drop.eval()(features) is features
    torch.manual_seed(0)
    dropped = drop.train()(features)
    gone = dropped == 0
    assert 0.1 < float(gone.float().mean()) < 0.3
    assert float(dropped.mean()) == pytest.approx(1, abs=1e-4)
    # Squares: whoever has neither a neighbour at the left nor at the right would be a dot.
    lone = gone[..., 1:-1] & ~gone[..., :-2] & ~gone[..., 2:]
    assert not lone.any()


def test_small_features_and_half_precision_keep_what_is_not_dropped() -> None:
    drop = DropBlock(0.2, 7).train()
    assert drop(torch.ones(1, 1, 2, 4)).shape == (1, 1, 2, 4)
    # More values than float16 can count.
    dropped = drop(torch.ones(1, 64, 40, 40, dtype=torch.float16))
    assert dropped.dtype == torch.float16 and float(dropped.float().mean()) == pytest.approx(
        1, abs=1e-2
    )
