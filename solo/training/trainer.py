"""The training loop: on CPU or GPU, in one process or several, and continued exactly where it was.

Beyond detectron2's DefaultTrainer:

* an interrupted run that is resumed ends with the weights of an uninterrupted one;
* a loss that is not finite stops all workers before the weights change, and names the images;
* a run that failed evaluates nothing and overwrites no checkpoint;
* several processes and mixed precision work without a GPU, too.
"""

import logging
import math
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import HookBase, TrainerBase, hooks
from detectron2.modeling import build_model
from detectron2.utils import comm
from detectron2.utils.events import EventStorage, EventWriter
from torch import Tensor, nn

from solo.checkpoint import SOLOCheckpointer
from solo.data import build_train_loader, dataset_classes
from solo.errors import NotFiniteError, UserError, is_mistake
from solo.inference.datasets import OpenDataset, evaluate, evaluate_with_tta, prepare_evaluation
from solo.modeling.precision import training_precision
from solo.modeling.target_log import LOG_PERIOD
from solo.training import workers
from solo.training.accumulation import backward
from solo.training.hooks import build_hooks
from solo.training.output_dir import set_aside
from solo.training.resumption import check_state, load_optimizer, told_changes
from solo.training.sanity import warn_of_schedule
from solo.training.solver import build_optimizer, build_scheduler
from solo.training.writers import build_writers, close_writers, plot_curves

logger = logging.getLogger(__name__)
_LOG_PERIOD = LOG_PERIOD  # iterations between two lines of the log, which tell of the targets, too


class Trainer(TrainerBase):
    """Train the model of a config.

    Call :meth:`resume_or_load`, then :meth:`train`. To change a part, override its ``build_*``.
    """

    def __init__(self, cfg: CfgNode) -> None:
        """Build everything but the data, whose position is known only after a resumption.

        Args:
            cfg: The config, resolved and frozen, as `solo.training.setup_config` returns it.

        Raises:
            UserError: If the config asks for something that this machine or solo has not.
        """
        super().__init__()
        self._given = cfg  # as config.yaml has it, for any number of workers
        self.cfg = workers.scaled_to_workers(cfg)
        workers.check_workers(self.cfg)
        workers.check_same_format(self.cfg)
        self._device = torch.device(self.cfg.MODEL.DEVICE)
        self.max_iter = self.cfg.SOLVER.MAX_ITER
        self.module = build_model(self.cfg)
        self.optimizer = self.build_optimizer(self.module)
        self.scheduler = build_scheduler(self.cfg, self.optimizer)
        self.model = workers.parallelize(self.module, self._device)
        self._autocast, self.grad_scaler = training_precision(self.cfg)
        self.checkpointer = SOLOCheckpointer(
            self.module,
            self.cfg.OUTPUT_DIR,
            **dataset_classes(self.cfg.DATASETS.TRAIN),
            trainer=weakref.proxy(self),
        )
        self.loader: Iterable[list[dict[str, Any]]] | None = None
        self._batches: Iterator[list[dict[str, Any]]] = iter(())
        self._writers: list[EventWriter] = []
        self._test_data: list[OpenDataset] | None = None
        self._results: OrderedDict[str, Any] = OrderedDict()
        self.register_hooks(self.build_hooks())

    def build_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Build the optimizer."""
        return build_optimizer(self.cfg, model)

    def build_train_loader(self, start_iteration: int) -> Iterable[list[dict[str, Any]]]:
        """Build the batches, without end, that an uninterrupted run sees from an iteration on."""
        return build_train_loader(self.cfg, start_iteration=start_iteration)

    def build_hooks(self) -> list[HookBase]:
        """Build what is done after each step and at the end, in this order, on every worker."""
        return build_hooks(self.cfg, self.checkpointer, self.evaluate)

    def evaluate(self) -> OrderedDict[str, Any]:
        """Evaluate the present weights on DATASETS.TEST; at the end also with TEST.AUG, if enabled."""
        self._results = evaluate(self.cfg, self.module, self._test_data)
        if self.cfg.TEST.AUG.ENABLED and self.iter + 1 >= self.max_iter:
            self._results.update(evaluate_with_tta(self.cfg, self.module))
        return self._results

    def resume_or_load(self, *, resume: bool = False) -> None:
        """Continue from the last checkpoint of OUTPUT_DIR, or load MODEL.WEIGHTS.

        Args:
            resume: Whether to continue; where there is nothing to continue from, training starts.

        Raises:
            OSError: If a file cannot be read.
            UserError: If a file does not fit the model, or cannot be continued from.
        """
        found = resume and self.checkpointer.has_checkpoint()
        if resume and not found:
            logger.info("Nothing to resume in %s: training starts.", self.cfg.OUTPUT_DIR)
        self.iter = -1
        self.checkpointer.complete = found
        self.checkpointer.takes_classes_by_name = not found
        with told_changes(self._given) if found else nullcontext():
            self.checkpointer.resume_or_load(self.cfg.MODEL.WEIGHTS, resume=resume)
        if found and self.iter < 0:
            raise UserError(
                f"{self.checkpointer.get_checkpoint_file()} has weights only, so that training "
                "cannot resume from it: set MODEL.WEIGHTS to it, and another OUTPUT_DIR."
            )
        self.start_iter = self.iter + 1
        workers.check_same_start(self.start_iter, self.cfg.OUTPUT_DIR)

    def prepare_data(self) -> None:
        """Build the training data from the present iteration on, and try out the test data.

        :meth:`train` does it, too, where it was not done. Whoever tells mistakes of users from
        mistakes of the program calls it first.

        Raises:
            OSError: If a file of the data cannot be read.
            UserError: If the data cannot be trained or evaluated on.
        """
        self.loader = self.build_train_loader(self.start_iter)
        warn_of_schedule(self.cfg, self.loader)
        self.check_evaluation()

    def check_evaluation(self) -> None:
        """Read the test data, and raise now what :meth:`evaluate` would raise in hours."""
        self._test_data = prepare_evaluation(self.cfg, self.module)

    def train(self) -> OrderedDict[str, Any]:
        """Train up to SOLVER.MAX_ITER.

        Returns:
            The results of the last evaluation, on the main process; see `solo.training.evaluate`.

        Raises:
            NotFiniteError: If a loss is not finite.
        """
        if self.start_iter >= self.max_iter:
            logger.info(
                "Training is complete: %s is at iteration %d, SOLVER.MAX_ITER is %d.",
                self.checkpointer.get_checkpoint_file(),
                self.start_iter,
                self.cfg.SOLVER.MAX_ITER,
            )
            with self.checkpointer.as_saved():
                return self.evaluate() if self.cfg.DATASETS.TEST else self._results
        self._prepare()
        with EventStorage(self.start_iter) as self.storage:
            try:
                with workers.told_lost_loaders(self.cfg, self.how_to_resume):
                    self._loop()
            except Exception as error:
                if is_mistake(error):
                    logger.error("%s", error, extra={"log_only": True})  # it is told at the end
                else:
                    logger.exception("Training failed in iteration %d.", self.iter)
                raise
            finally:
                # Also after an error: what was measured until then.
                close_writers(self._writers)
        if comm.is_main_process():
            plot_curves(self.cfg.OUTPUT_DIR)
        return self._results

    def _prepare(self) -> None:
        self.iter = self.start_iter
        if self.loader is None:
            self.prepare_data()
        assert self.loader is not None  # prepared now
        self._batches = iter(self.loader)
        self.model.train()
        if comm.is_main_process():
            if self.start_iter == 0:
                set_aside(Path(self.cfg.OUTPUT_DIR))  # now that nothing but a step can fail
            self._writers = build_writers(
                self.cfg.OUTPUT_DIR,
                start_iter=self.start_iter,
                max_iter=self.max_iter,
                config=self._given,
            )
            period = min(_LOG_PERIOD, self.cfg.TEST.EVAL_PERIOD or _LOG_PERIOD)  # loses none
            self.register_hooks([hooks.PeriodicWriter(self._writers, period)])

    def _loop(self) -> None:
        """Run detectron2's loop, but `after_train` of the hooks only if all went well.

        detectron2 runs it in any case, and then evaluates and saves what a failure left.
        """
        start, rate = self.start_iter, self.optimizer.param_groups[0]["lr"]
        logger.info("Training from iteration %d to %d, now at rate %g.", start, self.max_iter, rate)
        self.before_train()
        while self.iter < self.max_iter:
            self.before_step()
            self.run_step()
            self.after_step()
            self.iter += 1
        self.storage.iter = self.iter
        for hook in self._hooks:
            if not isinstance(hook, hooks.PeriodicWriter):
                hook.after_train()

    def run_step(self) -> None:
        """Take one step: data, losses, gradients, a look at the losses, and the update."""
        start = time.perf_counter()
        batch = next(self._batches)
        data_time = time.perf_counter() - start
        self._seed_step()
        self.optimizer.zero_grad(set_to_none=True)
        losses = backward(
            batch,
            self.model,
            parts=self.cfg.SOLVER.ACCUMULATE,
            autocast=self._autocast,
            scaler=self.grad_scaler,
        )
        # After the backward pass is on its way, so that a GPU does not wait for the CPU, and
        # before anything changes the weights.
        self._record(losses, batch, data_time)
        # The optimizer clips the gradients in its step: they have to be unscaled by then.
        self.grad_scaler.unscale_(self.optimizer)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def _seed_step(self) -> None:
        """Make the random numbers of a step (dropout, stochastic depth) a function of the step.

        Otherwise a resumed run would draw others than an uninterrupted one.
        """
        if self.cfg.SEED >= 0:
            torch.manual_seed((self.cfg.SEED + self.iter) * comm.get_world_size() + comm.get_rank())

    def _record(
        self, losses: dict[str, Tensor], batch: list[dict[str, Any]], data_time: float
    ) -> None:
        """Note the losses, averaged over the workers; raise on all of them if one is not finite."""
        means, slowest = workers.average_losses(losses, data_time)
        if not all(map(math.isfinite, means.values())):
            report = workers.report_losses(losses, batch)
            raise NotFiniteError(
                f"The loss of iteration {self.iter} is not finite: {report}. The weights were not "
                f"changed. {self.how_to_resume()} Look at these images and their annotations, or lower "
                "SOLVER.BASE_LR, or set SOLVER.CLIP_GRADIENTS.ENABLED True."
            )
        if comm.is_main_process():
            self.storage.put_scalar("data_time", slowest)
            self.storage.put_scalar("total_loss", sum(means.values()))
            if len(means) > 1:
                self.storage.put_scalars(**means)

    def how_to_resume(self) -> str:
        """Return a sentence that says from where an interrupted run can be continued."""
        path = self.checkpointer.last_saved
        if not path and self.start_iter > 0:
            path = self.checkpointer.get_checkpoint_file()
        if not path:
            return f"No checkpoint was saved yet in {self.cfg.OUTPUT_DIR}."
        return f"The same command with --resume continues from {path}."

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs beside the weights."""
        return {
            **super().state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "grad_scaler": self.grad_scaler.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, but for rates and options that the config says.

        Raises:
            UserError: If another trainer returned it, a longer training, or one of other parameters.
        """
        path = self.checkpointer.get_checkpoint_file()
        check_state(state_dict, path, self.max_iter)
        super().load_state_dict(state_dict)
        load_optimizer(self.optimizer, self.scheduler, state_dict["optimizer"], path)
        if state_dict["grad_scaler"] and self.grad_scaler.is_enabled():
            self.grad_scaler.load_state_dict(state_dict["grad_scaler"])
