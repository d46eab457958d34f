"""A GPU that is too small for an image does not end an evaluation of thousands."""

import logging
from typing import Any, cast

import torch
from detectron2.config import CfgNode
from torch import nn

from solo.architectures import node_name

logger = logging.getLogger(__name__)


def memory_advice(cfg: CfgNode) -> str:
    """Return what to do for less memory of a model, by the keys that it has."""
    if node_name(cfg) != "SOLO":
        return "Lower INPUT.MIN_SIZE_TEST."
    return (
        "Lower INPUT.MIN_SIZE_TEST (TEST.AUG.MIN_SIZES) or MODEL.SOLO.TEST.MAX_CANDIDATES, or set "
        "MODEL.SOLO.TEST.MASK_FORMAT to 'rle'."
    )


class WithCPUFallback(nn.Module):
    """Run a model, and on the CPU what the GPU has no memory for.

    The model moves to the CPU for that batch and back: slow, but it takes no memory that is not there.
    """

    def __init__(self, model: nn.Module, advice: str = "") -> None:
        """Wrap a model that tells its `device`; see `memory_advice`."""
        super().__init__()
        self._advice = advice
        self.model = model
        # Evaluation puts back the mode that it finds here.
        self.train(model.training)
        self._warned = False

    def forward(self, inputs: list[dict[str, Any]]) -> Any:
        """Return what the model returns."""
        try:
            return self.model(inputs)
        except torch.OutOfMemoryError as error:
            self._warn(error)
        # Not while the error is handled: it holds what was computed so far.
        return self._run_on_cpu(inputs)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            logger.warning(
                "Out of GPU memory (%s): this image, and others like it, run on the CPU. %s",
                str(error).splitlines()[0],
                self._advice,
            )
        self._warned = True

    def _run_on_cpu(self, inputs: list[dict[str, Any]]) -> Any:
        device = cast(torch.device, self.model.device)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        self.model.to("cpu")
        try:
            # Under the autocast of a GPU float32 stays float32 on a CPU.
            return self.model(inputs)
        finally:
            self.model.to(device)
