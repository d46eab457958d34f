"""The flow that all variants share: preprocess, backbone, head, then losses or instances.

Legend: N images, H, W padded input size in pixels, M instances of an image, P positive pairs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone
from detectron2.structures import ImageList, Instances
from detectron2.utils import comm
from torch import Tensor, nn

from solo.config.choices import Freeze, Recompute, choose
from solo.layers.all_workers import sum_over_workers
from solo.layers.memory_format import memory_format
from solo.layers.recompute import recompute_stages
from solo.layers.stages import stage
from solo.layers.transfer import to_device
from solo.modeling import losses
from solo.modeling.box_supervision import BoxSupervision
from solo.modeling.category_loss import CategoryRule
from solo.modeling.declared import Declared
from solo.modeling.freezing import frozen_part
from solo.modeling.ground_truth import ground_truth
from solo.modeling.heads import Head, HeadOutputs
from solo.modeling.heads.device_decoding import device_decoder
from solo.modeling.loss_weights import loss_weights
from solo.modeling.mask_loss import MaskLoss, MaskSums
from solo.modeling.mask_quality import cell_quality
from solo.modeling.necks import build_backbone
from solo.modeling.necks.halving import halve_finest
from solo.modeling.normalisers import Normalisers
from solo.modeling.postprocessing import PostProcessor
from solo.modeling.predictions import Predictions
from solo.modeling.semantic_loss import SemanticLoss
from solo.modeling.target_log import log_targets
from solo.modeling.targets import TargetAssigner, Targets
from solo.structures.image_size import ImageSize


@META_ARCH_REGISTRY.register()
class SOLO(Declared, nn.Module):
    """Segment objects by their locations: no boxes, no proposals.

    Source:
        SOLO (arXiv 1912.04488), SOLOv2 (arXiv 2003.10152).
    """

    default_head = "SOLOHead"
    pixel_mean: Tensor
    pixel_std: Tensor

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        head: Head[Any],
        assigner: TargetAssigner,
        postprocessor: PostProcessor,
        loss_weights: dict[str, float],
        pixel_mean: tuple[float, ...],
        pixel_std: tuple[float, ...],
        category_loss: CategoryRule | None = None,
        input_format: str = "RGB",
        memory_format: torch.memory_format = torch.contiguous_format,
        mask_loss: MaskLoss | None = None,
        boxes: BoxSupervision | None = None,
        semantic: SemanticLoss | None = None,
        freeze: Freeze = Freeze.NONE,
    ) -> None:
        """Put the parts together.

        Args:
            backbone: A detectron2 backbone with a feature pyramid.
            head: Turns features into category logits and soft masks.
            assigner: Gives instances to cells in training.
            postprocessor: Turns probabilities and masks into instances at test.
            loss_weights: Of each loss, by its name; see `loss_weights` of the module of that name.
            pixel_mean: Per channel, in the order of INPUT.FORMAT.
            pixel_std: Per channel.
            category_loss: Compares the category logits. None: by focal loss.
            input_format: INPUT.FORMAT: foreign weights are checked against it when loaded.
            memory_format: How weights, and so features, lie in memory.
            mask_loss: Adds up the losses of soft masks. None: dice of all pairs at once, as the head makes them.
            boxes: What soft masks are compared with in training, and the losses of that. None: masks.
            semantic: The loss of the head's auxiliary branch. None: it has none.
            freeze: What training leaves as it is.
        """
        super().__init__()
        self.backbone, self.head, self.assigner = backbone, head, assigner
        self.postprocessor, self.freeze = postprocessor, freeze
        self.loss_weights, self.boxes, self.semantic = loss_weights, boxes, semantic
        self.category_loss, self.input_format = category_loss or CategoryRule(), input_format
        for name, value in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            self.register_buffer(name, torch.tensor(value).view(-1, 1, 1), persistent=False)
        self.mask_loss = mask_loss or MaskLoss()
        self.mask_loss.check(self.divisor)
        if frozen := frozen_part(self.backbone, self.freeze):
            frozen.requires_grad_(False).eval()
        self.to(memory_format=memory_format)  # features take the format of the weights

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the parts from MODEL.SOLO."""
        node = cfg.MODEL.SOLO
        backbone = build_backbone(cfg)
        if choose(Recompute, node.RECOMPUTE, "MODEL.SOLO.RECOMPUTE") is not Recompute.NONE:
            recompute_stages(backbone)
        make_head: Callable[..., Head[Any]] = cls.head_type(cfg)  # configurable
        if cls.head_type(cfg).reads_levels_only:
            halve_finest(backbone, node.IN_FEATURES, node.STRIDES)
        head = make_head(cfg, backbone.output_shape())
        return {
            "backbone": backbone,
            "head": head,
            "assigner": cls.build_assigner(cfg),
            "postprocessor": PostProcessor.from_config(cfg, head.grids, head.strides),
            "loss_weights": loss_weights(cfg),
            "category_loss": CategoryRule.from_config(cfg),
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
            "input_format": cfg.INPUT.FORMAT,
            "memory_format": memory_format(cfg, training=True),
            "mask_loss": MaskLoss.from_config(cfg),
            "boxes": BoxSupervision.from_config(cfg),
            "semantic": SemanticLoss.from_config(cfg, head.semantic_stride),
            "freeze": choose(Freeze, node.FREEZE, "MODEL.SOLO.FREEZE"),
        }

    @property
    def device(self) -> torch.device:
        """Where the model lives, and its inputs are moved to."""
        return self.pixel_mean.device

    def train(self, mode: bool = True) -> "SOLO":
        """Set the mode; what is frozen stays in eval mode, so that normalisation gathers no statistics."""
        super().train(mode)
        if frozen := frozen_part(self.backbone, self.freeze):
            frozen.eval()
        return self

    def forward(
        self, batched_inputs: list[dict[str, Any]], normalisers: Tensor | None = None
    ) -> dict[str, Tensor] | list[dict[str, Instances]]:
        """Train on, or find instances in, a batch in detectron2's format.

        Args:
            batched_inputs: One dict an image: `image`, a (C, h, w) tensor in INPUT.FORMAT; in
                training `instances` with gt_boxes, gt_classes and gt_masks; at test optionally
                `height` and `width`, the size of the output.
            normalisers: What the losses are divided by where the batch is a part of what makes a step:
                what :meth:`count` returns, over all parts and workers. None: those of the batch.

        Returns:
            In training a dict of losses, at test a list of `{"instances": Instances}`.

        Raises:
            UserError: If objects of a training input have no masks.
            ValueError: If training inputs lack instances.
        """
        images = self.preprocess(batched_inputs)
        outputs = self.run_network(images.tensor)
        size = tuple(images.tensor.shape[-2:])
        if self.training:
            truth = [self.ground_truth(item) for item in batched_inputs]
            return self.losses(outputs, truth, size, normalisers)
        sizes = [
            ImageSize(size, (height, width), (item.get("height", height), item.get("width", width)))
            for item, (height, width) in zip(batched_inputs, images.image_sizes, strict=True)
        ]
        return [{"instances": instances} for instances in self.find(outputs, sizes)]

    @stage("preprocess")
    def preprocess(self, batched_inputs: list[dict[str, Any]]) -> ImageList:
        """Normalise the images, then pad them with zeros to one size."""
        images = [to_device(item["image"], self.device).float() for item in batched_inputs]
        images = [(image - self.pixel_mean) / self.pixel_std for image in images]
        return ImageList.from_tensors(images, self.divisor)

    @property
    def divisor(self) -> int:
        """What the padded sides of a batch are multiples of, in pixels."""
        return max(self.backbone.size_divisibility, *self.head.strides)

    def run_network(self, images: Tensor) -> HeadOutputs[Any]:
        """Run backbone and head on (N, C, H, W) images that were normalised and padded."""
        with stage("backbone"):
            features = self.backbone(images)
        with stage("head"):
            return self.head(features)

    @stage("losses")
    def losses(
        self,
        outputs: HeadOutputs[Any],
        truth: list[Instances],
        size: tuple[int, int],
        normalisers: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compare the outputs of the head with the annotations.

        Args:
            outputs: Of N images.
            truth: N Instances, see :meth:`ground_truth`.
            size: (H, W) of the padded input.
            normalisers: See :meth:`forward`.

        Returns:
            Scalars by name: `loss_category`; `loss_mask` and its further terms, or the two terms of boxes; of
            branches that the head has, `loss_quality` and `loss_semantic`. Each is divided by its normaliser
            over all workers and multiplied by their number, since DDP averages the gradients: so N workers
            take the step that one would take on their N shards.
        """
        logits = torch.cat([level.flatten(2) for level in outputs.category_logits], dim=2).mT
        decoder, stride = partial(self.head.decoder, outputs.masks), min(self.head.mask_strides)
        targets = self.assigner.of_batch(truth, size, Predictions(logits, decoder, stride))
        log_targets(targets, sum(map(len, truth)), self.assigner)
        categories = torch.stack([target.categories for target in targets])
        if normalisers is None:
            normalisers = sum_over_workers(self.count(targets, truth))
        counts = Normalisers(*normalisers.unbind())
        masks = self._mask_sums(outputs, targets, truth, size)
        terms = self.category_loss.terms(
            logits,
            categories,
            counts,
            quality=cell_quality(masks.quality, targets, truth) if masks.quality else None,
            quality_logits=outputs.quality_logits,
        )
        if self.boxes:
            terms |= self.boxes.losses(masks.total, counts.masks, counts.edges)
        else:
            terms |= self.mask_loss.losses(masks.total, counts.masks)
        if self.semantic and outputs.semantic is not None:
            terms["loss_semantic"] = self.semantic(outputs.semantic, truth, counts.pixels)
        workers = comm.get_world_size()
        return {name: self.loss_weights[name] * workers * term for name, term in terms.items()}

    def ground_truth(self, item: dict[str, Any]) -> Instances:
        """Bring to the device what a training item says and the losses ask for."""
        return (self.boxes.truth if self.boxes else ground_truth)(item, self.device)

    def count(self, targets: list[Targets], truth: list[Instances]) -> Tensor:
        """Return what losses are divided by, the (5,) of `Normalisers`, on the device."""
        counts = to_device(self.assigner.count(targets), self.device)
        edges = pixels = counts.new_zeros(1)
        if self.boxes:
            strides = [self.mask_loss.by_stride(self.head, target.cells) for target in targets]
            edges = to_device(self.boxes.count_edges(truth, targets, strides), self.device)
        if self.semantic:
            pixels = self.semantic.count(truth)
        return torch.cat([counts, edges, pixels])

    def _mask_sums(
        self,
        outputs: HeadOutputs[Any],
        targets: list[Targets],
        truth: list[Instances],
        size: tuple[int, int],
    ) -> MaskSums:
        """Add up the mask losses of all pairs of the batch, and measure the masks where that is wanted."""
        # With a positive cell somewhere, all that levels share gets a gradient anyway.
        has_pairs = any(len(target.cells) for target in targets)
        missed = self.head.level_parameters if has_pairs else self.parameters()
        anchor = losses.zero_gradient_anchor(part for part in missed if part.requires_grad)
        rule, boxes = self.mask_loss, self.boxes
        supervision = boxes.of_batch(truth, rule.smooth) if boxes else rule.of_batch(truth)
        sums = rule(
            self.head,
            outputs.masks,
            targets,
            size,
            supervision,
            with_quality=self.category_loss.wants_quality or bool(outputs.quality_logits),
        )
        return sums._replace(total=anchor + sums.total)

    def find(self, outputs: HeadOutputs[Any], sizes: list[ImageSize]) -> list[Instances]:
        """Turn the outputs of the head into the instances of each image, whatever the others are."""
        probabilities = self.postprocessor.probabilities(*outputs.cell_logits)
        stride, on_cpu = min(self.head.mask_strides), probabilities.device.type == "cpu"
        found = []
        for image, size in enumerate(sizes):
            place = outputs.masks, image, (size.padded[0] // stride, size.padded[1] // stride)
            there = None if on_cpu else device_decoder(self.head, *place)
            decode = self.head.decoder(*place)
            found.append(self.postprocessor(probabilities[image], decode, size, there))
        return found


@META_ARCH_REGISTRY.register()
class SOLOv2(SOLO):
    """SOLO with dynamic masks."""

    default_head = "SOLOv2Head"
