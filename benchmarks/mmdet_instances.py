"""Both sides of what is compared with mmdetection 3.3.0, and whether their results are equal: at test."""

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_sides import Case, bgr

# isort: split

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from detectron2.structures import Boxes, Instances
from head_outputs import category_logits, object_features
from made_up import made_up_candidates, made_up_kernels, run_network
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmdet.structures.mask.utils import mask2bbox
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from solo.layers.stages import stage
from solo.modeling.fuse import prepare_for_inference
from solo.modeling.heads import HeadOutputs
from solo.modeling.precision import inference_precision
from solo.structures.image_size import ImageSize

# Share of the pixels of the masks that may differ, by rounding at their edges.
_PIXELS = 1e-4


class Found(NamedTuple):
    """What a side finds in an image.

    Attributes:
        scores: (n,) in descending order.
        classes: (n,) int64.
        rles: n of COCO's RLE dicts.
        boxes: (n, 4) XYXY.
        boxes_s: Seconds of the boxes, where they are a step of their own.
    """

    scores: Tensor
    classes: Tensor
    rles: list[dict[str, Any]]
    boxes: Tensor
    boxes_s: float = 0.0


class Post(Case):
    """From the outputs of the head to run lengths and boxes."""

    def theirs(self) -> Callable[[], Found]:
        """Build mmdet's side."""
        head = self._detector().mask_head.eval()
        kernels, logits, feature = self._outputs()
        meta = {"img_shape": self.workload.size, "ori_shape": self.workload.original}

        @torch.no_grad()
        def run() -> Found:
            # The list of logits is written into.
            found = head.predict_by_feat(kernels, [*logits], feature, batch_img_metas=[meta])
            return _encode(found[0])

        return run

    def ours(self) -> Callable[[], Found]:
        """Build our side."""
        model = self._model().eval()
        padded, outputs = run_network(model, self.workload)
        size = ImageSize(padded, self.workload.size, self.workload.original)

        @torch.no_grad()
        def run() -> Found:
            return _found(model.find(outputs, [size])[0])

        return run

    def check(self, ours: Found, theirs: Found) -> str:
        """Compare scores, classes, boxes and pixels."""
        counts = len(ours.scores), len(theirs.scores)
        boxes = f"{1000 * theirs.boxes_s:.0f} ms of theirs are boxes"
        if not self._is_exact:
            return f"{counts[0]} and {counts[1]} instances, not compared; {boxes}"
        if counts[0] != counts[1]:
            raise ValueError(f"{self.name}: ours are {counts[0]} instances, theirs {counts[1]}.")
        share = _different_pixels(ours.rles, theirs.rles)
        same = torch.allclose(ours.scores, theirs.scores, atol=1e-4)
        same &= torch.equal(ours.classes, theirs.classes)
        same &= torch.allclose(ours.boxes, theirs.boxes, atol=1)
        if not (same and share <= _PIXELS):
            raise ValueError(f"{self.name}: the instances differ; {share:.1e} of their pixels.")
        return f"{counts[0]} instances, {share:.0e} of their pixels differ; {boxes}"

    def _outputs(self) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return, as mmdet's head has them, the outputs that ours gets, too."""
        node = self._cfg.MODEL.SOLO
        channels, sides = node.MASK_FEATURE.DIM, node.NUM_GRIDS
        kernels = [made_up_kernels(side, channels) for side in sides]
        logits = category_logits(sides, node.NUM_CLASSES, self.workload.candidates)
        small = (self.workload.size[0] // 4, self.workload.size[1] // 4)
        feature = object_features(channels, small, 4, filling=self.workload.filling)
        return kernels, logits, feature[None]


class Infer(Post):
    """From the image to run lengths and boxes; the outputs of the head are exchanged meanwhile."""

    def theirs(self) -> Callable[[], Found]:
        """Build mmdet's side."""
        detector = self._detector().eval()
        made = self._outputs()
        self._logits: dict[str, list[Tensor]] = {}

        def exchange(module: nn.Module, inputs: Any, outputs: Any) -> Any:
            self._logits["theirs"] = outputs[1]
            return made[0], [*made[1]], made[2]

        head = detector.mask_head
        for owner, method, name in (
            (detector.data_preprocessor, "forward", "preprocess"),
            (detector, "extract_feat", "backbone"),
            (head, "forward", "head"),
            (head, "predict_by_feat", "candidates to masks"),
        ):
            setattr(owner, method, stage(name)(getattr(owner, method)))
        head.register_forward_hook(exchange)
        image = bgr(self._batch()[0]["image"])
        meta = {"img_shape": self.workload.size, "ori_shape": self.workload.original}

        @torch.no_grad()
        def run() -> Found:
            data = {"inputs": [image], "data_samples": [DetDataSample(metainfo=meta)]}
            with torch.autocast("cpu", torch.bfloat16, enabled=self._mmdet_amp):
                found = detector.test_step(data)[0].pred_instances
            return _encode(found)

        return run

    def ours(self) -> Callable[[], Found]:
        """Build our side."""
        model = self._model()
        prepare_for_inference(model, self._cfg)

        def note(module: nn.Module, inputs: Any, outputs: HeadOutputs) -> None:
            self._logits["ours"] = outputs.category_logits

        self._logits = getattr(self, "_logits", {})
        model.head.register_forward_hook(note)
        height, width = self.workload.original
        item = {"image": self._batch()[0]["image"], "height": height, "width": width}

        # What is made up is made once, as theirs is, and stays.
        self._made_up = ExitStack()
        self._made_up.enter_context(made_up_candidates(model, self.workload))

        @torch.no_grad()
        def run() -> Found:
            with inference_precision(self._cfg):
                return _found(model([item])[0]["instances"])

        return run

    def check(self, ours: Found, theirs: Found) -> str:
        """Compare the logits that were exchanged, too."""
        for mine, other in zip(self._logits["ours"], self._logits["theirs"], strict=True):
            if self._is_exact and not torch.allclose(mine, other, atol=1e-2):
                raise ValueError(f"{self.name}: the outputs of the heads differ.")
        return super().check(ours, theirs)


def _encode(found: Any) -> Found:
    """Encode mmdet's masks as its evaluator does, and add boxes, which its SOLO leaves at zero."""
    with stage("RLE"):
        rles = encode_mask_results(found.masks.detach().cpu().numpy())
    start = time.perf_counter()
    with stage("boxes"):
        boxes = mask2bbox(found.masks)
    return Found(found.scores, found.labels, rles, boxes, time.perf_counter() - start)


def _found(instances: Instances) -> Found:
    boxes: Boxes = instances.pred_boxes
    return Found(instances.scores, instances.pred_classes, instances.pred_rles, boxes.tensor)


def _different_pixels(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    """Return the share of the pixels of masks, of either side, that the other does not have."""
    different = either = 0
    for pair in zip(ours, theirs, strict=True):
        union, both = (coco_mask.area(coco_mask.merge(list(pair), intersect=i)) for i in (0, 1))
        different, either = different + int(union) - int(both), either + int(union)
    return different / max(either, 1)
