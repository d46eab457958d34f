"""The exponential moving average of the weights, which is evaluated and saved in their place."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import HookBase
from detectron2.utils import comm
from torch import Tensor, distributed, nn

logger = logging.getLogger(__name__)


class WeightAverage(HookBase):
    """Average all weights and statistics of a model over its steps; without SOLVER.EMA do nothing.

    A checkpoint has the average under "model", where all who load weights look, so that each file gives the
    AP that the log printed for it. The weights that training goes on with are beside it, in the state of the
    trainer.

    Source:
        The decay grows with the steps t as (1 + t) / (10 + t), as in TensorFlow's
        ExponentialMovingAverage: the average reaches back over a ninth of the run, until DECAY limits it.
    """

    def __init__(self, model: nn.Module, node: CfgNode) -> None:
        """Watch a model, not wrapped, as SOLVER.EMA says."""
        self.is_enabled: bool = node.ENABLED
        self._limit: float = node.DECAY
        self._steps = 0
        self._model = model
        self._weights = self._look()
        # In the same order; what the model has not, while the average is applied. Empty before the start.
        self._others: list[Tensor] = []
        self._is_applied = False

    def _look(self) -> dict[str, Tensor]:
        """Return the parameters and buffers themselves, in the type that they are trained in, float32."""
        tensors = self._model.state_dict(keep_vars=True).items()
        return {name: item for name, item in tensors if item.is_floating_point()}

    def before_train(self) -> None:
        """Begin with the weights that were loaded, unless an average was."""
        if self.is_enabled and not self._others:
            self._begin()
        if self.is_enabled:
            logger.info("Evaluations and checkpoints take the average of the weights: SOLVER.EMA.")

    def _begin(self) -> None:
        self._others = [weight.detach().clone() for weight in self._weights.values()]

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the average towards the weights: a few kernels for all of them, and no wait."""
        if not self.is_enabled:
            return
        decay = min(self._limit, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._others, list(self._weights.values()), 1 - decay)
        self._steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the average meanwhile; both change places, and nothing is copied."""
        if not self._others or self._is_applied:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        self._is_applied = not self._is_applied
        # An evaluation that moved the model to the CPU and back, for want of memory, has made new buffers.
        self._weights = self._look()
        for number, weight in enumerate(self._weights.values()):
            weight.data, self._others[number] = self._others[number], weight.data

    def share(self) -> None:
        """Give all workers the average of the first: each has seen other statistics of its last batch."""
        if self._others and comm.get_world_size() > 1:
            for average, weight in zip(self._others, self._weights.values(), strict=True):
                if not isinstance(weight, nn.Parameter):
                    distributed.broadcast(average, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs beside the state of the model: that one is the average."""
        if not self._others:
            return {}
        others = zip(self._weights, self._others, strict=True)
        return {"steps": self._steps, "weights": dict(others)}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the average, which the model has been given, and give it the weights to train."""
        if self.is_enabled:
            self._begin()
            self._steps = state["steps"]
        for name, weight in self._weights.items():
            weight.copy_(state["weights"][name])
