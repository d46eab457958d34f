"""detectron2's checkpointer made safe: atomic, free of code, strict about what does not fit."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from detectron2.checkpoint import DetectionCheckpointer
from torch import nn

from solo.checkpoint import class_rows
from solo.checkpoint.addresses import fetching
from solo.checkpoint.beside_weights import CATEGORY_IDS
from solo.checkpoint.comparison import compare, is_counter, listed, strip_prefix
from solo.checkpoint.lineages import Lineage, expected_preprocessing, part_of, recognise, to_solo
from solo.checkpoint.misfits import (
    MisfitError,
    check_nothing_is_lost,
    check_nothing_is_random,
    check_shapes,
)
from solo.checkpoint.optional_parts import (
    Prefixes,
    leave_out,
    may_start_fresh,
    set_aside,
    take_up,
    training_only,
)
from solo.checkpoint.preprocessing import Preprocessing
from solo.checkpoint.published import meant_published
from solo.checkpoint.run_files import LAST_CHECKPOINT
from solo.checkpoint.storage import from_pickle, read_checkpoint, write_checkpoint
from solo.checkpoint.timm_names import backbone_alone
from solo.errors import NotFiniteError, UserError
from solo.files import write_text


class SOLOCheckpointer(DetectionCheckpointer):
    """Save a model with the names of its classes, and load only what fits it."""

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        class_names: Sequence[str] = (),
        category_ids: Sequence[int | float | str] = (),
        complete: bool = False,
        takes_classes_by_name: bool = False,
        **checkpointables: Any,
    ) -> None:
        """Save and load the weights of a model.

        Args:
            model: The model, in a `DistributedDataParallel` or not.
            save_dir: Folder of the checkpoints.
            class_names: Names of the model's classes, in the order of their numbers; saved beside
                the weights, and compared when weights are loaded. Empty: not known.
            category_ids: The data set's own, in that order; saved beside the weights if they are known.
            complete: Raise where a file lacks a tensor of the model, or has a part that the model lacks, as
                evaluation and a resumed training need.
            takes_classes_by_name: Whether weights of other classes are taken over, each class by its name,
                as where a training begins; else they are refused.
            checkpointables: What :meth:`save` saves beside the model, by name.
        """
        super().__init__(model, save_dir, **checkpointables)
        self.class_names, self._category_ids = list(class_names), list(category_ids)
        self.complete = complete
        self.takes_classes_by_name = takes_classes_by_name
        # The model has the weights to save meanwhile: where these are not the ones that are trained.
        self.as_saved: Callable[[], AbstractContextManager[None]] = nullcontext
        # The checkpoint of this run to continue from; the folder may hold another run's, too.
        self.last_saved = ""
        self._path = ""
        self._content: dict[str, Any] | None = None
        self._lineage: Lineage | None = None
        self._saved_names: list[str] = []

    def save(self, name: str, **kwargs: Any) -> None:
        """Save everything that is needed to continue, and make it the one to continue from.

        Args:
            name: Name of the file, without its suffix.
            kwargs: More to save: numbers, strings, tensors and containers of them.

        Raises:
            OSError: If the file could not be written; earlier checkpoints are untouched.
            FloatingPointError: If a weight is not finite; nothing is written.
        """
        with self.as_saved():
            self._check_finite(name)
            if not self.save_dir:
                return
            path = Path(self.save_dir, f"{name}.pth")
            if self.save_to_disk:
                content = {key: item.state_dict() for key, item in self.checkpointables.items()}
                self._write(path, {**content, **kwargs})
                self.tag_last_checkpoint(path.name)
        self.last_saved = str(path)

    def save_weights(self, name: str, **kwargs: Any) -> None:
        """Save the weights, and more as :meth:`save`; :meth:`resume_or_load` stays where it was.

        Raises:
            OSError: If the file could not be written; an earlier one of that name is untouched.
        """
        if self.save_dir and self.save_to_disk:
            with self.as_saved():
                self._write(Path(self.save_dir, f"{name}.pth"), kwargs)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Note which file :meth:`resume_or_load` continues from, atomically."""
        write_text(last_filename_basename, Path(self.save_dir, LAST_CHECKPOINT))

    def load(
        self, path: str, *args: Any, content: dict[str, Any] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Load weights and, unless told otherwise, what was saved beside them.

        Args:
            path: A file, or an address that detectron2's PathManager knows; empty: load nothing.
            args: As in fvcore's ``Checkpointer.load``.
            content: What `read_checkpoint` returned of the file, if it was read already.
            kwargs: As in fvcore's ``Checkpointer.load``.

        Returns:
            What else the file holds.

        Raises:
            FileNotFoundError: If there is no such file.
            OSError: If it cannot be fetched, with the place to put it.
            UserError: If the file is corrupt, would run code, or does not fit the model.
        """
        if path and "://" not in path and not Path(path.partition("?")[0]).is_file():
            raise FileNotFoundError(
                f"The checkpoint {path} does not exist; check MODEL.WEIGHTS, or the "
                f"file last_checkpoint in {self.save_dir or 'the output folder'}{meant_published(path)}."
            )
        self._path, self._content = path, content
        try:
            with fetching(path):
                return super().load(path, *args, **kwargs)
        finally:
            # detectron2's main branch leaves it set after an error, and then refuses to load again.
            self._parsed_url_during_load = None
            self._content = None

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        self.logger.info("Saving checkpoint to %s", path)
        content = {"model": self.model.state_dict(), "class_names": self.class_names, **content}
        if self._category_ids:
            content[CATEGORY_IDS] = self._category_ids
        if known := Preprocessing.of_model(self.model).to_dict():
            content["preprocessing"] = known
        try:
            write_checkpoint(content, path)
        except OSError as error:
            if not self.has_checkpoint():
                raise
            last = self.get_checkpoint_file()
            raise OSError(f"{error} --resume continues from the last whole one, {last}.") from error

    def _check_finite(self, name: str) -> None:
        # A finite loss may have an infinite gradient, which the optimizer carries into the
        # weights: then the checkpoint before this one is the one to keep.
        for key, tensor in self.model.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise NotFiniteError(
                    f"{name}.pth is not saved: {key} holds values that are not finite. Continue "
                    "from the last checkpoint with a lower SOLVER.BASE_LR or with "
                    "SOLVER.CLIP_GRADIENTS.ENABLED True."
                )

    def _load_file(self, filename: str) -> dict[str, Any]:
        content = read_checkpoint(filename) if self._content is None else self._content
        self._lineage = recognise(content)
        self._saved_names = class_rows.carried_class_names(content)
        if alone := backbone_alone(self.model, content, self._path):
            self._lineage = Lineage.TIMM
            return alone
        if self._is_foreign:
            # Its weights alone, by our names.
            weights, lineage, dropped = to_solo(content)
            expected = content.get("preprocessing", expected_preprocessing(lineage).to_dict())
            return {"model": weights, "preprocessing": expected, "dropped": dropped}
        if filename.endswith(".pkl"):
            return from_pickle(content)
        if filename.endswith(".pyth") and "model_state" in content:
            content = {"model": content["model_state"], "__author__": "pycls"}
            content["matching_heuristics"] = True
        if "model" not in content:
            content = {"model": content}
        if "matching_heuristics=True" in self._path.partition("?")[2]:
            content["matching_heuristics"] = True
        return content

    @property
    def _optional(self) -> Prefixes:
        """How the names of tensors of the model begin that the checkpoint may lack."""
        fresh = () if self.complete else tuple(may_start_fresh(self.model))
        return (*training_only(self.model), *fresh)

    @property
    def _is_foreign(self) -> bool:
        return self._lineage not in (None, Lineage.SOLO)

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        """Load the weights, after everything that could be wrong with them was looked at."""
        weights = checkpoint["model"]
        if not isinstance(weights, dict):
            weights = {"model": weights}
        unfit = [key for key, value in weights.items() if not hasattr(value, "shape")]
        if unfit:
            raise UserError(
                f"The checkpoint {self._path} holds no weights that this model knows how to read: "
                f"{listed(unfit)} is not a tensor."
            )
        if not checkpoint.get("matching_heuristics", False):
            strip_prefix(weights, "module.")
            leave_out(weights, training_only(self.model), unless=self.model.state_dict())
            if self.takes_classes_by_name and class_rows.class_keys(self.model):
                self._take_classes(weights)
            else:
                self._check_classes()
            if not self.complete:
                take_up(weights, self.model)
            own = self.model.state_dict()
            check_shapes(weights, own, self._path)
            self._report(checkpoint)
            if self.complete:
                check_nothing_is_lost(weights, own, may_start_fresh(self.model), self._path)
        return super()._load_model(checkpoint)

    def _report(self, checkpoint: dict[str, Any]) -> None:
        """Log what fits, and stop where the weights are incomplete or want other images."""
        source = f"The checkpoint {self._path}"
        expected = Preprocessing.of_checkpoint(checkpoint, source)
        expected.check(Preprocessing.of_model(self.model), source)
        if self._lineage is None:
            return
        weights, own = checkpoint["model"], part_of(self._lineage, self.model.state_dict())
        leave_out(own, self._optional, unless=weights)
        source_name, dropped = self._lineage.value, checkpoint.get("dropped", ())
        report = compare(weights, own, source=source_name, dropped=dropped)
        self.logger.info("%s", report)
        # A file of ours may be a part on purpose, to fine-tune from; others are of whole models.
        if (self._is_foreign or "published" in checkpoint) and not report.fits:
            raise UserError(
                f"The checkpoint {self._path} is of another model than this one. Take the config "
                f"that goes with it.\n{report}"
            )

    def _take_classes(self, weights: dict[str, Any]) -> None:
        names = self._saved_names
        if not names and self._is_foreign:
            names = class_rows.coco_class_names()  # of which it is if it has 80
        told = class_rows.take_class_rows(
            weights, self.model, saved_names=names, names=self.class_names, path=self._path
        )
        if told:
            self.logger.info("%s", told)

    def _check_classes(self) -> None:
        names, ours = self._saved_names, self.class_names
        # mmdetection writes COCO's 80 names beside weights of other classes, too.
        unknown = not (names and ours) or (self._is_foreign and len(names) != len(ours))
        if not unknown and not class_rows.same_classes(names, ours):
            raise MisfitError(
                f"The checkpoint {self._path} is of a model with {len(names)} classes "
                f"({listed(names)}), but this one has {len(ours)} ({listed(ours)}).",
                "To evaluate, take the data set it was trained on. To train, begin from it with "
                "MODEL.WEIGHTS: classes are taken over by name, if the head has category_parameters.",
            )

    def _log_incompatible_keys(self, incompatible: Any) -> None:
        for prefixes, why in (
            (training_only(self.model), ", which training alone needs"),
            (self._optional, ""),
        ):
            if fresh := set_aside(incompatible.missing_keys, prefixes):
                told = "The checkpoint %s lacks %s%s: they start fresh."
                self.logger.info(told, self._path, listed(fresh), why)
        missing = [key for key in incompatible.missing_keys if not is_counter(key)]
        if self.complete:
            check_nothing_is_random(missing, self._path)
        if self._lineage in (Lineage.TORCHVISION, Lineage.TIMM):
            told = "Only the backbone was filled: %d other tensors of the model start fresh."
            self.logger.info(told, len(missing))
            return
        super()._log_incompatible_keys(incompatible)
