"""Both sides of what is compared with mmdetection 3.3.0, and whether their results are equal: training."""

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import CONFIGS, build_mmdet_detector, to_mmdet_truth

# isort: split

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from detectron2.structures import Instances
from made_up import Workload
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor, nn

from solo.benchmark.models import load_model, with_rle
from solo.benchmark.synthetic import training_batch
from solo.benchmark.train import Step
from solo.checkpoint.lineages import to_solo
from solo.config.load import inference_config
from solo.layers.masks import downsample_masks
from solo.model_zoo import get_config_file
from solo.modeling import SOLO
from solo.modeling.heads import HeadOutputs
from solo.modeling.heads.solov2 import DynamicMasks


class Configs(NamedTuple):
    """The config of a model here, and in mmdet."""

    ours: str
    theirs: str


MODELS = {
    "solo": Configs("coco/solo_R_50_FPN_1x.yaml", "solo/solo_r50_fpn_1x_coco.py"),
    "decoupled": Configs(
        "coco/decoupled_solo_R_50_FPN_1x.yaml", "solo/decoupled-solo_r50_fpn_1x_coco.py"
    ),
    "solov2": Configs("coco/solov2_R_50_FPN_1x.yaml", "solov2/solov2_r50_fpn_1x_coco.py"),
    "light": Configs(
        "coco/solov2_light_448_R_50_FPN_3x.yaml", "solov2/solov2-light_r50_fpn_ms-3x_coco.py"
    ),
}


class Case(ABC):
    """Something that both sides do.

    Attributes:
        name: For --only and the table.
        counts_model: Whether the memory of the weights counts.
    """

    counts_model = False

    def __init__(
        self,
        name: str,
        model: str,
        workload: Workload,
        opts: Sequence[str] = (),
        *,
        mmdet_amp: bool = False,
    ) -> None:
        """Note what to do; nothing is built before a side is asked for.

        Args:
            name: Of the case.
            model: Of MODELS.
            workload: How much there is to do.
            opts: Config keys of our side.
            mmdet_amp: Whether mmdet's side of Infer and Train runs in mixed precision, in bfloat16.
        """
        self.name, self.workload, self._mmdet_amp = name, workload, mmdet_amp
        self._configs = MODELS[model]
        self._cfg = with_rle(
            inference_config(get_config_file(self._configs.ours), device="cpu", opts=opts)
        )
        self._weights: dict[str, Tensor] = {}

    @abstractmethod
    def theirs(self) -> Callable[[], Any]:
        """Build mmdet's side."""

    @abstractmethod
    def ours(self) -> Callable[[], Any]:
        """Build our side, with the weights of theirs if that was built before."""

    @abstractmethod
    def check(self, ours: Any, theirs: Any) -> str:
        """Return what is equal about the results; raise ValueError if they differ."""

    def _detector(self) -> nn.Module:
        torch.manual_seed(0)
        detector = build_mmdet_detector(self._configs.theirs)
        self._weights = to_solo(detector.state_dict()).weights
        return detector

    def _model(self) -> SOLO:
        model = load_model(self._cfg)
        if self._weights:
            model.load_state_dict(self._weights)
        return model

    @property
    def _is_exact(self) -> bool:
        """Mixed precision is no promise of equal results."""
        return not (self._mmdet_amp or self._cfg.TEST.AMP.ENABLED or self._cfg.SOLVER.AMP.ENABLED)

    def _batch(self) -> list[dict[str, Any]]:
        return training_batch(
            self.workload.images, self.workload.objects, self.workload.size, num_classes=80
        )

    def _truth(self) -> list[Instances]:
        """Return the objects of the batch, gt_masks as tensors."""
        truth = [item["instances"] for item in self._batch()]
        for instances in truth:
            instances.gt_masks = instances.gt_masks.tensor
        return truth


class Targets(Case):
    """Which cells have to find which object, and the small masks they learn from."""

    def theirs(self) -> Callable[[], Any]:
        """Build mmdet's side."""
        head = self._detector().mask_head
        truth = [to_mmdet_truth(item, self.workload.size) for item in self._truth()]
        small = tuple(side // 4 for side in self.workload.size)
        return lambda: [head._get_targets_single(item, featmap_sizes=small) for item in truth]

    def ours(self) -> Callable[[], Any]:
        """Build our side."""
        assigner, truth, size = self._model().assigner, self._truth(), self.workload.size
        small = (size[0] // 4, size[1] // 4)

        def run() -> list[Any]:
            results = []
            for item in truth:
                boxes, classes, masks = item.gt_boxes.tensor, item.gt_classes, item.gt_masks
                targets = assigner(boxes, classes, masks, size)
                results.append((targets, downsample_masks(masks, 4, small)))
            return results

        return run

    def check(self, ours: Any, theirs: Any) -> str:
        """Compare the categories of the cells, and the masks of all pairs."""
        count = 0
        for (targets, masks), (their_masks, labels, *_) in zip(ours, theirs, strict=True):
            same = torch.equal(targets.categories, torch.cat([level.flatten() for level in labels]))
            pairs = masks[targets.instances]
            if not same or not torch.equal(pairs, torch.cat(list(their_masks)).bool()):
                raise ValueError(f"{self.name}: the targets differ.")
            count += len(pairs)
        return f"{count} pairs, all equal"


class TargetsAndLosses(Case):
    """From the outputs of the head to the losses and the gradients of the outputs."""

    def theirs(self) -> Callable[[], Any]:
        """Build mmdet's side."""
        detector, size = self._detector(), self.workload.size
        truth = [to_mmdet_truth(item, size) for item in self._truth()]
        metas = [{"img_shape": size, "ori_shape": size}] * len(truth)
        kernels, logits, feature = self._leaves()

        def run() -> dict[str, Tensor]:
            losses = detector.mask_head.loss_by_feat(kernels, logits, feature, truth, metas)
            self._backward(losses, [*kernels, *logits, feature])
            return losses

        return run

    def ours(self) -> Callable[[], Any]:
        """Build our side."""
        model, truth, size = self._model(), self._truth(), self.workload.size
        kernels, logits, feature = self._leaves()

        def run() -> dict[str, Tensor]:
            cells = torch.cat([level.flatten(2) for level in kernels], dim=2).mT
            masks = DynamicMasks(cells.unbind(), feature.unbind())
            losses = model.losses(HeadOutputs(logits, masks), truth, size)
            self._backward(losses, [*kernels, *logits, feature])
            return losses

        return run

    def check(self, ours: Any, theirs: Any) -> str:
        """Compare the category loss; the mask losses have other denominators."""
        return _compare_losses(self.name, ours["loss_category"], theirs["loss_cls"])

    def _leaves(self) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Draw outputs of the head: kernels and logits per level, and the mask feature."""
        generator = torch.Generator().manual_seed(0)

        def draw(scale: float, *shape: int) -> Tensor:
            drawn = scale * torch.randn(self.workload.images, *shape, generator=generator)
            return drawn.requires_grad_()

        node = self._cfg.MODEL.SOLO
        kernels = [draw(0.05, node.MASK_FEATURE.DIM, side, side) for side in node.NUM_GRIDS]
        logits = [draw(1, 80, side, side) for side in node.NUM_GRIDS]
        small = (side // 4 for side in self.workload.size)
        return kernels, logits, draw(1, node.MASK_FEATURE.DIM, *small)

    @staticmethod
    def _backward(losses: dict[str, Tensor], leaves: list[Tensor]) -> None:
        for leaf in leaves:
            leaf.grad = None
        sum(losses.values()).backward()


class Train(Case):
    """A step of training: forward, backward and the update."""

    counts_model = True

    def theirs(self) -> Callable[[], Any]:
        """Build mmdet's side."""
        detector = self._detector().train()
        settings = Config.fromfile(CONFIGS / self._configs.theirs).optim_wrapper
        wrapper = build_optim_wrapper(detector, settings)
        if self._mmdet_amp:
            wrapper = _MixedPrecision(wrapper.optimizer, clip_grad=settings.get("clip_grad"))
        size, batch = self.workload.size, self._batch()
        images, samples = [bgr(item["image"]) for item in batch], []
        for truth in self._truth():
            sample = DetDataSample(metainfo={"img_shape": size, "ori_shape": size})
            sample.gt_instances = to_mmdet_truth(truth, size)
            samples.append(sample)
        return lambda: detector.train_step({"inputs": images, "data_samples": samples}, wrapper)

    def ours(self) -> Callable[[], Any]:
        """Build our side."""
        model = self._model().train()
        take_step, batch = Step(self._cfg, model), self._batch()
        return lambda: take_step(batch)

    def check(self, ours: Any, theirs: Any) -> str:
        """Compare the category loss; the mask losses have other denominators."""
        tolerance = 1e-3 if self._is_exact else 0.05
        return _compare_losses(self.name, ours["loss_category"], theirs["loss_cls"], tolerance)


class _MixedPrecision(OptimWrapper):
    """mmengine's AmpOptimWrapper, which refuses CPUs: the forward pass in bfloat16."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast("cpu", torch.bfloat16):
            yield


def bgr(image: Tensor) -> Tensor:
    """Return an image of detectron2 as mmdet wants it: its channels the other way round."""
    return image.flip(0).contiguous()


def _compare_losses(name: str, ours: Tensor, theirs: Tensor, tolerance: float = 1e-3) -> str:
    difference = abs(float(ours) / float(theirs) - 1)
    if not difference <= tolerance:
        raise ValueError(f"{name}: the category losses are {float(ours)} and {float(theirs)}.")
    return f"category loss {float(ours):.4g}, relative difference {difference:.0e}"
