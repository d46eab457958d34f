"""Whether an exported model finds what the model itself finds, in numbers.

Legend: n instances, H, W size of the image.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances
from tqdm import tqdm

from solo.config.choices import NMS, MaskFormat, NMSKernel
from solo.errors import UserError
from solo.export import runtime
from solo.export.file_format import Run
from solo.modeling.meta_arch import SOLO
from solo.modeling.postprocessing import PostProcessor
from solo.structures.image_size import ImageSize

MAX_SCORE_ERROR = 1e-3
# Share of the pixels of an image; one pixel may differ in any image.
MAX_MASK_ERROR = 1e-4


@dataclass
class Agreement:
    """What the comparison of two models on some images says."""

    images: int = 0
    instances: int = 0  # that the model itself finds on them
    # Instances that only one of the two finds, or with another mask, in words.
    differences: list[str] = field(default_factory=list)
    score_error: float = 0.0  # largest difference between the scores of an instance
    mask_error: int = 0  # largest number of pixels in which the masks of an instance differ
    crowded: int = 0  # images with more candidates than the exported model has room for

    def __str__(self) -> str:
        """Tell the numbers in a sentence."""
        return (
            f"{self.instances} instances on {self.images} images, {len(self.differences)} missing, added "
            f"or with another mask; the scores of the others differ by {self.score_error:.1e} at most, "
            f"their masks in {self.mask_error} pixels"
        )

    def check(self) -> None:
        """Refuse what is no agreement.

        Raises:
            UserError: If the two differ, or nothing was there to compare.
        """
        if not self.instances and not self.differences:
            raise UserError(
                f"Nothing was found on {self.images} images, so nothing was compared: give --images that "
                "show objects of the model's classes."
            )
        if self.differences:
            lines = [f"The exported model differs: {self}.", *self.differences[:5]]
            if self.crowded:
                lines.append(
                    f"{self.crowded} images have more candidates than are exported: raise "
                    "MODEL.SOLO.TEST.PRE_NMS_TOPK, or lower MAX_CANDIDATES to the same number, which "
                    "the model itself then takes, too."
                )
            raise UserError(" ".join(lines))


def compare(
    model: SOLO, run: Run, images: Iterable[np.ndarray], metadata: Mapping[str, Any]
) -> Agreement:
    """Run both on images, with the same pixels going in.

    Args:
        model: In eval mode.
        run: The exported model.
        images: (H, W, 3) uint8 BGR each.
        metadata: Of the exported model.
    """
    postprocessor = replace(model.postprocessor, mask_format=MaskFormat.BITMASK)
    if metadata["post"] == "raw":
        # Without decay and limits the suppression returns every candidate.
        postprocessor = replace(
            postprocessor,
            nms=NMS.MATRIX,
            nms_kernel=NMSKernel.GAUSSIAN,
            nms_sigma=0.0,
            update_thresh=0.0,
            max_instances=metadata["num_candidates"],
        )
    model = copy(model)  # the same weights under another test procedure
    model.postprocessor = postprocessor
    agreement = Agreement()
    for image in tqdm(images, desc="comparing", unit=" images", disable=None):
        inputs, frames = runtime.prepare(image, metadata["input"])
        expected, candidates = _find(model, inputs, frames)
        found = runtime.finish(run(inputs), frames, metadata["mask_thresh"])
        limit = _limit(expected.scores.numpy(), postprocessor)
        add_image(agreement, expected, found, limit)
        agreement.crowded += candidates > metadata["num_candidates"]
    return agreement


@torch.no_grad()
def _find(model: SOLO, inputs: np.ndarray, frames: runtime.Frames) -> tuple[Instances, int]:
    """Return what the model finds, on the CPU, and the number of candidates."""
    batch = torch.from_numpy(inputs).to(model.device)
    batch = (batch - model.pixel_mean) / model.pixel_std
    outputs = model.run_network(batch)
    found = model.find(outputs, [ImageSize(*frames)])[0].to("cpu")
    probabilities = model.postprocessor.probabilities(*outputs.cell_logits)
    return found, int((probabilities > model.postprocessor.score_thresh).sum())


def _limit(scores: np.ndarray, postprocessor: PostProcessor) -> float:
    """Return the score at which rounding decides whether an instance is found."""
    is_full = len(scores) == postprocessor.max_instances
    lowest = float(scores.min()) if is_full else 0.0
    return max(postprocessor.update_thresh, lowest) + MAX_SCORE_ERROR


def add_image(
    agreement: Agreement, expected: Instances, found: runtime.Instances, limit: float
) -> None:
    """Add one image: pair each instance with the most similar one of its class and score."""
    masks = expected.pred_masks.numpy()
    largest = pair_instances(
        agreement,
        expected,
        found,
        limit,
        distance=lambda row, index: int((found.masks[index] != masks[row]).sum()),
        most=max(MAX_MASK_ERROR * masks[:1].size, 1),
        told="{:.0f} pixels of the mask",
    )
    agreement.mask_error = max(agreement.mask_error, int(largest))


def pair_instances(
    agreement: Agreement,
    expected: Instances,
    found: runtime.Instances,
    limit: float,
    *,
    distance: Callable[[int, int], float],
    most: float,
    told: str,
) -> float:
    """Add one image: pair each instance with the nearest one of its class and score.

    Args:
        agreement: Is added to.
        expected: What the model finds.
        found: What the exported model finds.
        limit: Score up to which instances may be missing or added.
        distance: Between the shapes of an expected instance and of one that was found, by their numbers.
        most: Distance up to which they are the same.
        told: What is said of a greater one, which has a place in it.

    Returns:
        The largest distance of a pair.
    """
    scores, classes = expected.scores.numpy(), expected.pred_classes.numpy()
    differences: list[tuple[str, int, float]] = []
    free, largest = np.ones(len(found.scores), dtype=bool), 0.0
    for row, (score, label) in enumerate(zip(scores, classes, strict=True)):
        is_alike = free & (found.classes == label) & (abs(found.scores - score) <= MAX_SCORE_ERROR)
        distances = {index: distance(row, index) for index in np.flatnonzero(is_alike).tolist()}
        if not distances:
            if score > limit:
                differences.append(("missing", label, score))
            continue
        index = min(distances, key=distances.__getitem__)
        free[index] = False
        if distances[index] > most:
            differences.append((told.format(distances[index]), label, score))
        largest = max(largest, distances[index])
        agreement.score_error = max(agreement.score_error, float(abs(found.scores[index] - score)))
    for index in np.flatnonzero(free & (found.scores > limit)).tolist():
        differences.append(("added", int(found.classes[index]), float(found.scores[index])))
    agreement.differences += [
        f"Image {agreement.images}: {what}, class {label}, score {score:.4f}."
        for what, label, score in differences
    ]
    agreement.images += 1
    agreement.instances += len(scores)
    return largest
