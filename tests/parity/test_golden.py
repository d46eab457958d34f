"""Numbers of the official implementation (WXinlong/SOLO @ f4cd03b), stored in tests/golden."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances
from torch import nn

from solo.checkpoint.rules import OFFICIAL, rename
from solo.layers.masks import downsample_masks
from solo.layers.nms import mask_nms, matrix_nms
from solo.layers.overlaps import mask_ious
from solo.modeling.category_loss import CategoryRule
from solo.modeling.grids import Grids
from solo.modeling.heads import (
    DecoupledSOLOHead,
    DecoupledSOLOLightHead,
    HeadConfig,
    SOLOHead,
    SOLOv2Head,
)
from solo.modeling.heads.mask_feature import MaskFeatureBranch
from solo.modeling.meta_arch import SOLO
from solo.modeling.postprocessing import ImageSize, PostProcessor, cell_probabilities
from solo.modeling.targets import TargetAssigner

GOLDEN = Path(__file__).parents[1] / "golden"
HEADS = [
    "solo",
    "decoupled",
    "decoupled_light",
    "solov2",
    "solov2_light",
    "solov2_no_detections",
]
LEVELS = ("p2", "p3", "p4", "p5", "p6")


class Features(nn.Module):
    """A backbone that hands out what it was given."""

    size_divisibility = 32

    def forward(self, features):
        return features


class Case:
    """One golden head: settings, arrays, and our model with its weights."""

    def __init__(self, name):
        self.info = json.loads((GOLDEN / f"head_{name}.json").read_text())
        with np.load(GOLDEN / f"head_{name}.npz") as arrays:
            self.arrays = dict(arrays)
        self.model = self._model()

    def tensor(self, name):
        return torch.from_numpy(self.arrays[name].astype(np.float32))

    def masks(self, name, width):
        return torch.from_numpy(np.unpackbits(self.arrays[name], axis=-1)[..., :width]).bool()

    @property
    def features(self):
        return {name: self.tensor(f"in_feat_l{i}") for i, name in enumerate(LEVELS)}

    def _head(self):
        info = self.info
        config = HeadConfig(
            in_channels=info["in_channels"],
            num_classes=info["num_classes"],
            num_convs=info["stacked_convs"],
            conv_dim=info["seg_feat_channels"],
            norm="GN",
            prior_prob=0.01,
            in_features=LEVELS,
            in_strides=(4, 8, 16, 32, 64),
            strides=info["strides"],
            num_grids=info["num_grids"],
        )
        plain = {
            "solo": SOLOHead,
            "decoupled": DecoupledSOLOHead,
            "decoupled_light": DecoupledSOLOLightHead,
        }
        if info["kind"] in plain:
            return plain[info["kind"]](config)
        mask_feature = MaskFeatureBranch(
            in_features=LEVELS[:4],
            in_channels=info["in_channels"],
            conv_dim=info["mask_feat_mid"],
            out_channels=info["mask_channels_out"],
            norm=lambda channels: nn.GroupNorm(info["mask_feat_groups"], channels),
        )
        return SOLOv2Head(
            config,
            kernel_size=1,
            mask_feature=mask_feature,
            mask_feature_stride=4,
            mask_feature_dim=info["mask_channels_out"],
        )

    def _model(self):
        head, test = self._head(), self.info["test_cfg"]
        model = SOLO(
            backbone=Features(),
            head=head,
            assigner=TargetAssigner(
                grids=head.grids,
                scale_ranges=self.info["scale_ranges"],
                sigma=self.info["sigma"],
                center_radius=1,
                collisions=head.default_collisions,
                num_classes=self.info["num_classes"],
            ),
            postprocessor=PostProcessor(
                grids=head.grids,
                strides=head.strides,
                score_thresh=test["score_thr"],
                max_candidates=2000,
                chunk_size=16,
                mask_thresh=test["mask_thr"],
                pre_nms_topk=test["nms_pre"],
                nms="matrix",
                nms_kernel=test["kernel"],
                nms_iou_thresh=0.5,
                class_agnostic=False,
                nms_sigma=test["sigma"],
                update_thresh=test["update_thr"],
                max_instances=test["max_per_img"],
                mask_format="bitmask",
            ),
            loss_weights={"loss_category": 1.0, "loss_mask": 3.0},
            category_loss=CategoryRule(alpha=0.25, gamma=2.0),
            pixel_mean=(0.0,) * 3,
            pixel_std=(1.0,) * 3,
        )
        weights = {
            rename(key.removeprefix("weight__"), OFFICIAL): self.tensor(key)
            for key in self.arrays
            if key.startswith("weight__")
        }
        model.load_state_dict(weights)
        return model

    def ground_truth(self):
        height, width = self.info["pad_shape"]
        for image in range(len(self.info["img_shapes"])):
            truth = Instances((height, width))
            truth.gt_boxes = Boxes(self.tensor(f"gt{image}_boxes"))
            truth.gt_classes = torch.from_numpy(self.arrays[f"gt{image}_labels"])
            truth.gt_masks = self.masks(f"gt{image}_masks", width)
            yield truth


@pytest.fixture(scope="module", params=HEADS)
def case(request):
    return Case(request.param)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_category_logits(case):
    logits = case.model.head(case.features).category_logits
    for level, actual in enumerate(logits):
        close(actual, case.tensor(f"out_train_cate_pred_l{level}"))


def test_probabilities_after_points_nms(case):
    probabilities = cell_probabilities(case.model.head(case.features).category_logits)
    expected = [case.tensor(f"out_eval_cate_pred_l{level}").flatten(1, 2) for level in range(5)]
    close(probabilities, torch.cat(expected, dim=1))


def test_mask_outputs(case):
    """The maps that masks are made of, all cells of the first image."""
    head = case.model.head
    outputs = head(case.features).masks
    if case.info["kind"].startswith("solov2"):
        close(torch.stack(outputs.feature), case.tensor("out_train_mask_feat"))
        kernels = [case.tensor(f"out_train_kernel_pred_l{level}").flatten(2) for level in range(5)]
        close(torch.stack(outputs.kernels), torch.cat(kernels, dim=2).mT)
        return
    for level, side in enumerate(head.grids.sides):
        cells = torch.arange(head.grids.offsets[level], head.grids.offsets[level + 1])
        close(head.soft_masks(outputs, 0, cells), expected_masks(case, level, side))


def expected_masks(case, level, side):
    if case.info["kind"] == "solo":
        return case.tensor(f"out_train_ins_pred_l{level}")[0].sigmoid()
    x = case.tensor(f"out_train_ins_pred_x_l{level}")[0].sigmoid()
    y = case.tensor(f"out_train_ins_pred_y_l{level}")[0].sigmoid()
    return (y[:, None] * x[None, :]).reshape(side * side, *x.shape[-2:])


def test_losses_and_gradients(case):
    features = {name: value.requires_grad_() for name, value in case.features.items()}
    case.model.zero_grad()
    outputs = case.model.head(features)
    losses = case.model.losses(outputs, list(case.ground_truth()), tuple(case.info["pad_shape"]))
    expected = case.info["losses"]
    close(losses["loss_mask"], torch.tensor(expected["loss_ins"]))
    close(losses["loss_category"], torch.tensor(expected["loss_cate"]))

    sum(losses.values()).backward()
    parameters = dict(case.model.named_parameters())
    for key, norm in case.info["grad_norms"].items():
        gradient = parameters[rename(key, OFFICIAL)].grad
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-7), key
    norms = [features[name].grad.norm().item() for name in LEVELS]
    assert norms == pytest.approx(case.info["feat_grad_norms"], rel=1e-3)


@torch.no_grad()
def test_detections(case):
    sizes = [
        ImageSize(tuple(case.info["pad_shape"]), tuple(resized), tuple(original))
        for resized, original in zip(case.info["img_shapes"], case.info["ori_shapes"], strict=True)
    ]
    results = case.model.find(case.model.head(case.features), sizes)
    for image, instances in enumerate(results):
        close(instances.scores, case.tensor(f"det{image}_scores"))
        labels = torch.from_numpy(case.arrays[f"det{image}_labels"])
        assert torch.equal(instances.pred_classes, labels.to(torch.int64))
        masks = case.masks(f"det{image}_masks", sizes[image].original[1])
        masks = masks.reshape(instances.pred_masks.shape)
        assert (instances.pred_masks != masks).sum() <= 1


TARGET_INFO = json.loads((GOLDEN / "targets.json").read_text())


@pytest.fixture(scope="module")
def target_arrays():
    with np.load(GOLDEN / "targets.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("kind", ["solo", "decoupled", "solov2"])
@pytest.mark.parametrize("name", sorted(TARGET_INFO))
def test_targets(name, kind, target_arrays):
    info, arrays = TARGET_INFO[name], target_arrays
    height, width = info["image_size"]
    masks = np.unpackbits(arrays[f"{name}__gt_masks"], axis=-1)[..., :width]
    masks = torch.from_numpy(masks.reshape(-1, height, width)).bool()
    labels = torch.from_numpy(arrays[f"{name}__gt_labels"]).long()
    num_classes = 1000
    grids = Grids(info["num_grids"])
    assigner = TargetAssigner(
        grids=grids,
        scale_ranges=info["scale_ranges"],
        sigma=info["sigma"],
        center_radius=1,
        collisions="all" if kind == "solov2" else "last",
        num_classes=num_classes,
    )
    padded = tuple(info["padded_size"])
    boxes = torch.from_numpy(arrays[f"{name}__gt_boxes"]).reshape(-1, 4)
    targets = assigner(boxes, labels, masks, padded)
    categories = torch.where(targets.categories == num_classes, -1, targets.categories)
    levels = grids.levels_of(targets.cells)
    for level in range(grids.num_levels):
        prefix = f"{name}__{kind}"
        start, end = grids.offsets[level : level + 2]
        expected = torch.from_numpy(arrays[f"{prefix}_cate_l{level}"]).flatten().long()
        assert torch.equal(categories[start:end], expected)
        mine = levels == level
        expected = torch.from_numpy(arrays[f"{prefix}_pos_l{level}"]).long()
        assert torch.equal(targets.cells[mine] - start, expected)

        h, w = arrays[f"{prefix}_masksize_l{level}"].tolist()
        packed = arrays[f"{prefix}_masks_l{level}"]
        expected = torch.from_numpy(np.unpackbits(packed, axis=-1)[..., :w]).bool()
        stride = padded[0] // h
        actual = downsample_masks(masks, stride, (h, w))[targets.instances[mine]]
        if name != "not_multiple_of_4_unpadded":  # cv2 itself is inexact there: see the README
            assert torch.equal(actual, expected.reshape(actual.shape))


NMS_CASES = [
    "many",
    "medium",
    "single",
    "two",
    "same_class",
    "duplicate_pairs",
    "all_different",
    "triplicates",
    "one_empty_mask",
    "zero",
    "equal_scores",
]


@pytest.fixture(scope="module")
def nms_arrays():
    with np.load(GOLDEN / "matrix_nms.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("variant", ["gaussian_s2", "gaussian_s05", "linear"])
@pytest.mark.parametrize("name", NMS_CASES)
def test_matrix_nms(name, variant, nms_arrays):
    def array(key):
        return torch.from_numpy(nms_arrays[f"{name}__{key}"])

    kernel, _, sigma = variant.partition("_")
    scores = matrix_nms(
        mask_ious(array("masks").bool()),
        array("labels"),
        array("scores"),
        kernel=kernel,
        sigma={"s2": 2.0, "s05": 0.5, "": 2.0}[sigma],
    )
    # The third copy of a mask is 0 / 0 in the reference: suppressed here.
    expected = array(f"out_{variant}").float().nan_to_num(nan=0.0).reshape(scores.shape)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def mask_nms_arrays():
    with np.load(GOLDEN / "mask_nms.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("percent", [30, 50, 75])
@pytest.mark.parametrize("name", [*NMS_CASES, "edge"])
def test_mask_nms(name, percent, mask_nms_arrays):
    def array(key):
        return torch.from_numpy(mask_nms_arrays[f"{name}__{key}"])

    masks = array("masks").bool()
    kept = mask_nms(mask_ious(masks), array("labels"), iou_thresh=percent / 100)
    assert torch.equal(kept, array(f"keep_{percent}"))
