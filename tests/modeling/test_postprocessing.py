import pytest
import torch

from solo.modeling.grids import Grids
from solo.modeling.postprocessing import ImageSize, PostProcessor
from tests.conftest import make_cfg

SIZE = ImageSize(padded=(64, 96), resized=(60, 90), original=(120, 180))


def postprocessor(**changes):
    arguments = {
        "grids": Grids((8, 4)),
        "strides": (8, 16),
        "score_thresh": 0.1,
        "max_candidates": 2000,
        "chunk_size": 128,
        "mask_thresh": 0.5,
        "pre_nms_topk": 500,
        "nms": "matrix",
        "nms_kernel": "gaussian",
        "nms_iou_thresh": 0.5,
        "class_agnostic": False,
        "nms_sigma": 2.0,
        "update_thresh": 0.05,
        "max_instances": 100,
        "mask_format": "bitmask",
    }
    return PostProcessor(**{**arguments, **changes})


def blobs(count, seed=0):
    """Smooth random soft masks, (count, 16, 24), one a cell."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, count, 4, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (16, 24), mode="bicubic")[0].clamp(0, 1)


@pytest.fixture
def scene():
    """80 cells, 3 classes, a soft mask for each cell."""
    masks = blobs(80)
    probabilities = torch.rand(80, 3, generator=torch.Generator().manual_seed(1)) ** 3
    return probabilities, masks.__getitem__


def same(first, second):
    assert torch.equal(first.pred_masks, second.pred_masks)
    assert torch.equal(first.scores, second.scores)
    assert torch.equal(first.pred_classes, second.pred_classes)


def test_chunks_change_nothing(scene):
    probabilities, decode = scene
    expected = postprocessor()(probabilities, decode, SIZE)
    assert len(expected) > 5
    same(postprocessor(chunk_size=3)(probabilities, decode, SIZE), expected)


def test_a_cap_above_the_candidates_changes_nothing(scene):
    probabilities, decode = scene
    count = int((probabilities > 0.1).sum())
    same(
        postprocessor(max_candidates=count)(probabilities, decode, SIZE),
        postprocessor()(probabilities, decode, SIZE),
    )


def test_the_cap_keeps_the_best_and_bounds_what_is_decoded(scene):
    probabilities, decode = scene
    decoded = []

    def watch(cells):
        decoded.append(len(cells))
        return decode(cells)

    postprocessor(max_candidates=7, chunk_size=4)(probabilities, watch, SIZE)
    assert sum(decoded[:-1]) == 7 and max(decoded) <= 7  # the last call decodes the survivors
    best = postprocessor(max_candidates=7).candidates(probabilities).scores
    assert torch.equal(best.sort().values, probabilities.flatten().sort().values[-7:])


def test_specks_are_dropped():
    """A mask of no more pixels than the stride of its level is noise."""
    masks = torch.zeros(80, 16, 24)
    masks[0, 0, :8] = 1  # 8 pixels in a cell of stride 8
    masks[1, 4, :9] = 1  # 9 pixels
    masks[70, 8, :16] = 1  # 16 pixels in a cell of stride 16
    probabilities = torch.zeros(80, 1)
    probabilities[[0, 1, 70]] = 0.9
    instances = postprocessor()(probabilities, masks.__getitem__, SIZE)
    assert len(instances) == 1 and instances.scores.item() == pytest.approx(0.9)


def test_the_score_is_probability_times_maskness():
    masks = torch.zeros(80, 16, 24)
    masks[0, :8, :8] = 0.8
    masks[0, 8:, 8:] = 0.3  # below the threshold: not part of the mask
    probabilities = torch.zeros(80, 1)
    probabilities[0] = 0.5
    assert postprocessor()(probabilities, masks.__getitem__, SIZE).scores.item() == pytest.approx(
        0.4
    )


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
def test_nothing_found(mask_format):
    instances = postprocessor(mask_format=mask_format)(
        torch.zeros(80, 3), blobs(80).__getitem__, SIZE
    )
    assert len(instances) == 0
    assert instances.pred_boxes.tensor.shape == (0, 4)
    assert instances.pred_classes.dtype == torch.int64
    if mask_format == "bitmask":
        assert instances.pred_masks.shape == (0, 120, 180)
        assert instances.pred_masks.dtype == torch.bool
    else:
        assert instances.pred_rles == []


def test_unknown_mask_format():
    with pytest.raises(ValueError, match="use one of bitmask, rle"):
        postprocessor(mask_format="polygon")


def twins():
    """One mask found by two cells as two classes, and by a third as the first class again."""
    probabilities = torch.zeros(80, 3)
    probabilities[0, 0], probabilities[1, 1], probabilities[2, 0] = 0.9, 0.8, 0.7
    mask = blobs(1)[0]
    return probabilities, lambda cells: mask.repeat(len(cells), 1, 1)


def test_greedy_suppression_drops_what_matrix_nms_lowers():
    probabilities, decode = twins()
    lowered = postprocessor(update_thresh=0.0)(probabilities, decode, SIZE)
    kept = postprocessor(update_thresh=0.0, nms="mask")(probabilities, decode, SIZE)
    assert len(lowered) == 3
    assert kept.pred_classes.tolist() == [0, 1]
    assert torch.equal(kept.scores, lowered.scores[:2])


@pytest.mark.parametrize("nms", ["mask", "matrix"])
def test_suppression_between_classes(nms):
    probabilities, decode = twins()
    strict = {"nms": nms, "update_thresh": 0.3}
    assert postprocessor(**strict)(probabilities, decode, SIZE).pred_classes.tolist() == [0, 1]
    agnostic = postprocessor(**strict, class_agnostic=True)(probabilities, decode, SIZE)
    assert agnostic.pred_classes.tolist() == [0]


def test_unknown_suppression():
    with pytest.raises(ValueError, match="NMS is 'soft'; use one of matrix, mask"):
        postprocessor(nms="soft")


def test_more_candidates_than_enter_the_suppression_give_the_same(scene):
    """Then no masks are kept, and those of the best are decoded again."""
    probabilities, decode = scene
    candidates = postprocessor().candidates(probabilities)
    every, ious = postprocessor().measure(candidates, decode)
    chunks = []

    def watch(cells):
        chunks.append(len(cells))
        return decode(cells)

    best, best_ious = postprocessor(pre_nms_topk=5, chunk_size=7).measure(candidates, watch)
    assert max(chunks) == 7
    for mine, theirs in zip(best, every, strict=True):
        assert torch.equal(mine, theirs[:5])
    assert torch.equal(best_ious, ious[:5, :5])
    assert 0 < best_ious.triu(1).max() < 1


def test_every_key_arrives():
    """Each at another value than its default."""
    cfg = make_cfg()
    node = cfg.MODEL.SOLO.TEST
    words = {"NMS": "mask", "NMS_KERNEL": "linear", "MASK_FORMAT": "rle", "CLASS_AGNOSTIC": True}
    for number, key in enumerate(node):
        node[key] = words.get(key, type(node[key])(number + 3))
    cfg.TEST.DETECTIONS_PER_IMAGE = 7
    cfg.MODEL.CPU.INTERSECTIONS = "float32"
    rule = PostProcessor.from_config(cfg, Grids((8, 4)), (8, 16))
    assert {key: getattr(rule, key.lower()) for key in node} == dict(node)
    assert (rule.max_instances, rule.intersections, rule.strides) == (7, "float32", (8, 16))


def test_only_the_most_probable_classes_of_a_cell_take_part():
    """A cell that its neighbour beats as class 0 is none as class 1, which it is less."""
    logits = torch.full((1, 3, 2, 2), -9.0)
    logits[0, :, 0, 0] = torch.tensor([3.0, -9.0, 1.0])
    logits[0, :, 0, 1] = torch.tensor([2.0, 1.0, -9.0])
    logits[0, :, 1, 1] = torch.tensor([-9.0, 2.0, -9.0])
    expected = {
        0: {(0, 0), (0, 2), (1, 1), (3, 1)},
        1: {(0, 0), (3, 1)},
        2: {(0, 0), (0, 2), (1, 1), (3, 1)},
    }
    for labels, candidates in expected.items():
        rule = postprocessor(grids=Grids((2,)), strides=(8,), labels_per_cell=labels)
        found = rule.candidates(rule.probabilities([logits])[0])
        assert {*zip(found.cells.tolist(), found.classes.tolist(), strict=True)} == candidates
        kept = logits[0].flatten(1)[found.classes, found.cells].sigmoid()
        torch.testing.assert_close(found.scores, kept)
