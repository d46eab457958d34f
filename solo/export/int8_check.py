"""What a model loses by integers: its AP on a data set beside that of the model in float, and how alike masks are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import Instances, pairwise_iou

from solo.architectures import BBOX, SEGM
from solo.errors import UserError
from solo.inference import Predictor
from solo.inference.backend import Backend
from solo.inference.datasets import evaluate_predictor
from solo.inference.image_input import ImageLike
from solo.structures.instances import select_confident
from solo.structures.run_lengths import rles_of

MAX_DROP = 1.0  # AP in percent
_SAME = 0.5  # IoU of masks, or else boxes, from which on they are of one object


@dataclass(frozen=True, kw_only=True)
class Int8Agreement:
    """What the comparison of a model in float and in 8 bits says."""

    dataset: str
    images: int
    of: str  # "mask" or "box"
    float_ap: float  # in percent
    int8_ap: float
    instances: int  # confident ones of the model in float
    overlaps: Sequence[float]  # IoU of those of them that are found in 8 bits, too

    @property
    def drop(self) -> float:
        """How much AP is lost."""
        return self.float_ap - self.int8_ap

    def __str__(self) -> str:
        """Tell the numbers in a sentence."""
        found = len(self.overlaps) / max(self.instances, 1)
        overlap = f", with an IoU of {np.mean(self.overlaps):.3f} in the mean" * bool(self.overlaps)
        return (
            f"{self.of} AP {self.float_ap:.2f} in float, {self.int8_ap:.2f} in int8 on {self.images} images of "
            f"{self.dataset}; {found:.1%} of {self.instances} instances are found in int8, too{overlap}"
        )

    def check(self, max_drop: float = MAX_DROP) -> None:
        """Refuse a drop that is too large.

        Raises:
            UserError: If more AP is lost, or there is none to lose.
        """
        if not self.float_ap > 0:
            raise UserError(
                f"The model in float has no AP on {self.dataset} ({self.float_ap:.2f}), so int8 cannot be "
                "compared with it: give --data PATH with objects of its classes."
            )
        if not self.drop <= max_drop:
            raise UserError(
                f"int8 loses {self.drop:.2f} AP, and {max_drop:g} is the most: {self}. Nothing was written; "
                f"--max-drop {np.ceil(self.drop):g} takes it as it is."
            )


class _Kept(Predictor):
    """A predictor that keeps the confident ones of what it finds, for as long as it lives."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.found: list[Instances] = []

    def raw(self, image: ImageLike) -> Instances:
        """See `Predictor.raw`."""
        instances = super().raw(image)
        confident = select_confident(instances, self.threshold)
        if SEGM in self.tasks:  # bitmaps would fill the memory
            rles = rles_of(confident)
            confident.remove("pred_masks") if confident.has("pred_masks") else None
            confident.pred_rles = rles
        self.found.append(confident)
        return instances


def compare_on(
    dataset: str, model: Backend, int8: Backend, num_images: int | None = None
) -> Int8Agreement:
    """Evaluate a model in float and in 8 bits.

    Args:
        dataset: As registered with detectron2.
        model: In float.
        int8: In 8 bits.
        num_images: So many images, spread evenly; None: all.

    Raises:
        OSError: A file cannot be read.
        UserError: There is no such data set, or it has objects of other classes.
    """
    both = [_Kept(model), _Kept(int8)]
    task = SEGM if SEGM in both[0].tasks else BBOX
    results = [evaluate_predictor(one, dataset, num_images=num_images) for one in both]
    aps = [result.get(task, {}).get("AP", float("nan")) for result in results]
    expected, found = (one.found for one in both)
    overlaps = [iou for pair in zip(expected, found, strict=True) for iou in _overlaps(*pair)]
    return Int8Agreement(
        dataset=dataset,
        images=len(expected),
        of={SEGM: "mask", BBOX: "box"}[task],
        float_ap=aps[0],
        int8_ap=aps[1],
        instances=sum(map(len, expected)),
        overlaps=[iou for iou in overlaps if iou >= _SAME],
    )


def _overlaps(expected: Instances, found: Instances) -> list[float]:
    """Return of each expected instance the IoU with the most similar one that was found, of its class."""
    if not (len(expected) and len(found)):
        return []
    if expected.has("pred_rles"):
        ious = mask_util.iou(found.pred_rles, expected.pred_rles, [0] * len(expected))
    else:
        ious = pairwise_iou(found.pred_boxes, expected.pred_boxes).numpy()
    is_same = found.pred_classes[:, None] == expected.pred_classes
    best: list[float] = np.where(is_same, ious, 0).max(axis=0).tolist()
    return best
