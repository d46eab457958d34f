"""Run a trained model on images, exactly as at evaluation."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import build_model
from detectron2.structures import Instances

from solo.architectures import class_node, tasks_of
from solo.checkpoint import SOLOCheckpointer, read_checkpoint
from solo.checkpoint.beside_weights import known_category_ids, known_threshold
from solo.config.validity import check_device
from solo.data import resolve_num_classes
from solo.data.augmentation.build import build_test_resize
from solo.errors import UserError
from solo.inference.fallback import WithCPUFallback, memory_advice
from solo.inference.tta import SOLOWithTTA
from solo.modeling.fuse import prepare_for_inference
from solo.modeling.precision import inference_precision


class TorchBackend:
    """A trained model that takes images and returns their instances: a `Backend` of a predictor.

    Attributes:
        model: The model, in eval mode.
        class_names: Name per class, K of them or none: of the checkpoint, else of the metadata of
            DATASETS.TRAIN[0] as far as they are known without loading the data set.
        category_ids: The data set's own, where the checkpoint or the metadata tells; else 0 to K - 1.
        threshold, origin, tasks: See `Backend`.
    """

    def __init__(self, cfg: CfgNode) -> None:
        """Build the model and load cfg.MODEL.WEIGHTS.

        Args:
            cfg: As at evaluation; it is not changed.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            UserError: No checkpoint is named, it does not fit, the number of classes is not known,
                or there is no such device, image format or size.
        """
        cfg = cfg.clone()
        cfg.defrost()
        _check_config(cfg)
        metadata = MetadataCatalog.get(cfg.DATASETS.TRAIN[0]) if cfg.DATASETS.TRAIN else None
        names_of_metadata = tuple(metadata.get("thing_classes", ())) if metadata else ()
        content = None
        if not class_node(cfg).NUM_CLASSES:
            content = read_checkpoint(cfg.MODEL.WEIGHTS.partition("?")[0])
            resolve_num_classes(cfg, content.get("class_names") or names_of_metadata)
        num_classes = class_node(cfg).NUM_CLASSES
        self.tasks = tasks_of(cfg)

        self.model = build_model(cfg)
        # A model with random parts would find nonsense; so the checkpoint must be complete.
        checkpointer = SOLOCheckpointer(self.model, complete=True)
        loaded = checkpointer.load(cfg.MODEL.WEIGHTS, content=content)
        prepare_for_inference(self.model, cfg)
        self._precision = inference_precision(cfg)
        self._augmented = cfg.TEST.AUG.ENABLED
        network = SOLOWithTTA(cfg, self.model) if self._augmented else self.model
        self._run = WithCPUFallback(network, memory_advice(cfg))

        candidates = (tuple(loaded.get("class_names") or ()), names_of_metadata)
        fitting = [names for names in candidates if len(names) == num_classes]
        self.class_names: tuple[str, ...] = fitting[0] if fitting else ()
        self.category_ids: tuple[int | str, ...] = known_category_ids(loaded, num_classes)
        if not self.category_ids:
            is_same = metadata and self.class_names and self.class_names == names_of_metadata
            self.category_ids = _dataset_ids(metadata if is_same else None, num_classes)
        self.threshold = known_threshold(loaded)
        self.origin: tuple[str, ...] = (Path(cfg.MODEL.WEIGHTS).name, cfg.MODEL.DEVICE)

        self._format = cfg.INPUT.FORMAT
        self._resize = build_test_resize(cfg)

    @torch.no_grad()
    def find(self, images: Sequence[np.ndarray], least: float = 0.0) -> list[Instances]:
        """Find the instances of images, of all scores; those of one size go through the network together.

        Not all of them: a grid of cells spans the padded image, so that an image that is padded to
        the size of another one finds other instances than it finds alone. See `Backend.find`.
        """
        inputs = [self._prepare(image) for image in images]
        groups = defaultdict(list)
        for index, item in enumerate(inputs):
            groups[item["image"].shape].append(index)
        found: dict[int, Instances] = {}
        for indices in groups.values():
            with self._precision:
                outputs = self._run([inputs[index] for index in indices])
            for index, output in zip(indices, outputs, strict=True):
                found[index] = output["instances"].to("cpu")
        return [found[index] for index in range(len(inputs))]

    def _prepare(self, image: np.ndarray) -> dict[str, Any]:
        """Resize an image as evaluation does, unless it is augmented: each view is made of itself."""
        height, width = image.shape[:2]
        if self._format == "RGB":
            image = image[:, :, ::-1]
        image = np.ascontiguousarray(image)
        if not self._augmented:
            image = self._resize.get_transform(image).apply_image(image).astype(np.float32)
        tensor = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {"image": tensor, "height": height, "width": width}


def _check_config(cfg: CfgNode) -> None:
    if not cfg.MODEL.WEIGHTS:
        raise UserError(
            "MODEL.WEIGHTS is empty: set it to the checkpoint of a trained model, for instance "
            "output/model_final.pth."
        )
    if cfg.INPUT.FORMAT not in ("BGR", "RGB"):
        raise UserError(f'INPUT.FORMAT must be "BGR" or "RGB", not {cfg.INPUT.FORMAT!r}.')
    check_device(cfg.MODEL.DEVICE)
    if cfg.INPUT.MIN_SIZE_TEST < 0:
        raise UserError(
            f"INPUT.MIN_SIZE_TEST is {cfg.INPUT.MIN_SIZE_TEST}: give pixels of the shorter side, or "
            "0 for images as they are."
        )


def _dataset_ids(metadata: object | None, num_classes: int) -> tuple[int, ...]:
    to_class = getattr(metadata, "thing_dataset_id_to_contiguous_id", {})
    to_id = {index: dataset_id for dataset_id, index in to_class.items()}
    return tuple(to_id.get(index, index) for index in range(num_classes))
