"""The flow of YOLOX: letterbox, backbone, neck, head, then losses or boxes.

Legend: N images, H, W padded input size in pixels, K classes.
"""

from itertools import pairwise
from typing import Any, cast

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import Backbone, build_backbone
from detectron2.structures import Boxes, ImageList, Instances
from torch import Tensor, nn

from solo.config.choices import Recompute, YOLOXHeadName, choose
from solo.errors import UserError
from solo.layers.iteration import current_iteration
from solo.layers.memory_format import memory_format
from solo.layers.recompute import recompute_stages
from solo.layers.stages import stage
from solo.layers.transfer import to_device
from solo.structures.image_size import ImageSize
from solo.yolox.anchors import AnchorHead, AnchorLosses, anchor_sizes
from solo.yolox.blocks import DropBlock, Units
from solo.yolox.detect import Candidates, Detector, best_classes
from solo.yolox.head import Raw, YOLOXHead
from solo.yolox.losses import Losses
from solo.yolox.multi_scale import MultiScale
from solo.yolox.neck import PAFPN

# Of the blocks of the neck, and channels of the head, before they are multiplied.
_NECK_DEPTH, _HEAD_CHANNELS = 3, 256


class YOLOX(nn.Module):
    """Find boxes from points, without anchors; or with, where MODEL.YOLOX.HEAD says so.

    Source:
        YOLOX (arXiv 2107.08430).
    """

    node = "YOLOX"  # of MODEL, with NUM_CLASSES and the rest
    pixel_mean: Tensor
    pixel_std: Tensor
    pad_value: Tensor

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        neck: nn.Module,
        head: YOLOXHead | AnchorHead,
        in_features: tuple[str, ...],
        detector: Detector,
        losses: Losses | AnchorLosses,
        pixel_mean: tuple[float, ...],
        pixel_std: tuple[float, ...],
        pad_value: tuple[float, ...],
        input_format: str = "BGR",
        multi_scale: MultiScale | None = None,
        square: bool = True,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Put the parts together.

        Args:
            backbone: A detectron2 backbone.
            neck: From three features to three of the same sizes.
            head: What looks at them.
            in_features: Of the backbone, the largest first.
            detector: The test procedure.
            losses: Of training.
            pixel_mean: Per channel, in the order of INPUT.FORMAT.
            pixel_std: Per channel.
            pad_value: Colour of pixels beside the images, before mean and std.
            input_format: INPUT.FORMAT: foreign weights are checked against it when loaded.
            multi_scale: What size the batches of training get; None: that of their images.
            square: Whether images are padded to a square.
            memory_format: How weights, and so features, lie in memory.
        """
        super().__init__()
        self.backbone, self.neck, self.head = backbone, neck, head
        self.in_features = in_features
        self.detector, self.losses, self.multi_scale = detector, losses, multi_scale
        colours = {"pixel_mean": pixel_mean, "pixel_std": pixel_std, "pad_value": pad_value}
        for name, value in colours.items():
            self.register_buffer(name, torch.tensor(value).view(-1, 1, 1), persistent=False)
        self.input_format = input_format
        self.square = square
        # A convolution puts its features into the format of its weights.
        self.to(memory_format=memory_format)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Build the parts from MODEL.YOLOX."""
        node, unit = cfg.MODEL.YOLOX, Units.from_config(cfg)
        _check_shared(cfg)
        backbone = build_backbone(cfg)
        if cfg.MODEL.SOLO.RECOMPUTE != Recompute.NONE:
            recompute_stages(backbone)
        channels, strides = _features(backbone, node.IN_FEATURES)
        depth = max(round(_NECK_DEPTH * node.DEPTH), 1)
        drop = DropBlock.from_config(cfg)
        head, losses = _head(cfg, channels, strides, unit)
        return {
            "backbone": backbone,
            "neck": PAFPN(channels, depth=depth, unit=unit, spp=node.SPP, drop=drop),
            "head": head,
            "in_features": tuple(node.IN_FEATURES),
            "detector": Detector.from_config(cfg),
            "losses": losses,
            "multi_scale": MultiScale.from_range(node.MULTI_SCALE, cfg.SEED),
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
            "pad_value": cfg.INPUT.PAD_VALUE or cfg.MODEL.PIXEL_MEAN,
            "input_format": cfg.INPUT.FORMAT,
            "square": node.SQUARE,
            "memory_format": memory_format(cfg, training=True),
        }

    @classmethod
    def tasks(cls, cfg: CfgNode) -> tuple[str, ...]:
        """Return what it predicts: boxes."""
        return ("bbox",)

    @classmethod
    def needs_masks(cls, cfg: CfgNode) -> bool:
        """Return whether its training needs masks: it never does."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the model lives, and its inputs are moved to."""
        return self.pixel_mean.device

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """What has a row per class."""
        return self.head.category_parameters

    @property
    def has_unread_features(self) -> bool:
        """Whether the backbone makes features that the neck does not look at."""
        return not self.backbone.output_shape().keys() <= set(self.in_features)

    @property
    def divisor(self) -> int:
        """What the padded sides of a batch are multiples of, in pixels."""
        return max(self.backbone.size_divisibility, *self.head.strides)

    def forward(
        self, batched_inputs: list[dict[str, Any]]
    ) -> dict[str, Tensor] | list[dict[str, Instances]]:
        """Train on, or find boxes in, a batch in detectron2's format.

        Args:
            batched_inputs: One dict an image: `image`, a (C, h, w) tensor in INPUT.FORMAT; in
                training `instances` with gt_boxes and gt_classes; at test optionally `height` and
                `width`, the size of the output.

        Returns:
            In training a dict of losses, at test a list of `{"instances": Instances}` with pred_boxes,
            scores and pred_classes.

        Raises:
            ValueError: If training inputs lack instances.
        """
        images = self.preprocess(batched_inputs)
        if self.training:
            return self._train_on(
                images.tensor, [_truth(item, self.device) for item in batched_inputs]
            )
        raw = self.run_network(images.tensor)
        padded = cast(tuple[int, int], tuple(images.tensor.shape[-2:]))
        sizes = [
            ImageSize(
                padded, (height, width), (item.get("height", height), item.get("width", width))
            )
            for item, (height, width) in zip(batched_inputs, images.image_sizes, strict=True)
        ]
        return [{"instances": found} for found in self.find(raw, sizes)]

    def _train_on(self, images: Tensor, truth: list[Instances]) -> dict[str, Tensor]:
        iteration = current_iteration()
        if self.multi_scale and iteration is not None:
            images, truth = self.multi_scale(images, truth, iteration)
        raw = self.run_network(images)
        with stage("losses"):
            return self.losses(raw, truth, iteration)

    @stage("preprocess")
    def preprocess(self, batched_inputs: list[dict[str, Any]]) -> ImageList:
        """Pad the images, at the right and at the bottom, to one size, then normalise them."""
        images = [to_device(item["image"], self.device).float() for item in batched_inputs]
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        sides = [-(-max(side) // self.divisor) * self.divisor for side in zip(*sizes, strict=True)]
        height, width = [max(sides)] * 2 if self.square else sides
        batch = images[0].new_empty(len(images), images[0].shape[0], height, width)
        batch[:] = self.pad_value
        for padded, image, (rows, columns) in zip(batch, images, sizes, strict=True):
            padded[:, :rows, :columns] = image
        return ImageList((batch - self.pixel_mean) / self.pixel_std, sizes)

    def run_network(self, images: Tensor) -> Raw:
        """Run backbone, neck and head on (N, C, H, W) images that were padded and normalised."""
        with stage("backbone"):
            features = self.backbone(images)
            features = self.neck([features[name] for name in self.in_features])
        with stage("head"):
            return cast(Raw, self.head(features))

    def candidates(self, raw: Raw, image: int) -> Candidates:
        """Return the box of each point of an image of a batch, before any suppression."""
        return best_classes(raw, image)

    def find(self, raw: Raw, sizes: list[ImageSize]) -> list[Instances]:
        """Turn the outputs of the head into the boxes of each image, whatever the others are."""
        return [self.detector(raw, image, size) for image, size in enumerate(sizes)]


def _head(
    cfg: CfgNode, channels: list[int], strides: list[int], unit: Units
) -> tuple[YOLOXHead | AnchorHead, Losses | AnchorLosses]:
    """Build the head that MODEL.YOLOX.HEAD names, for features of such channels and strides, and its losses."""
    node = cfg.MODEL.YOLOX
    if choose(YOLOXHeadName, node.HEAD, "MODEL.YOLOX.HEAD") == YOLOXHeadName.ANCHORS:
        anchors = AnchorHead(
            channels,
            strides=strides,
            sizes=anchor_sizes(cfg),
            num_classes=node.NUM_CLASSES,
            iou_share=node.ANCHORS.IOU_SHARE,
            prior_prob=node.PRIOR_PROB,
        )
        return anchors, AnchorLosses.from_config(cfg)
    decoupled = YOLOXHead(
        channels,
        strides=strides,
        hidden=int(_HEAD_CHANNELS * node.WIDTH),
        num_classes=node.NUM_CLASSES,
        unit=unit,
        prior_prob=node.PRIOR_PROB,
    )
    return decoupled, Losses.from_config(cfg)


def _truth(item: dict[str, Any], device: torch.device) -> Instances:
    """Return boxes and classes of a training item, on the device."""
    if "instances" not in item:
        raise ValueError("a training input has no instances: give gt_boxes and gt_classes")
    annotated = item["instances"]
    truth = Instances(annotated.image_size)
    truth.gt_boxes = Boxes(to_device(annotated.gt_boxes.tensor, device))
    truth.gt_classes = to_device(annotated.gt_classes, device)
    return truth


def _check_shared(cfg: CfgNode) -> None:
    """Raise a UserError at a key of models with a pyramid, which would be without effect."""
    if cfg.MODEL.NECK.NAME or cfg.MODEL.NECK.SPP:
        raise UserError(
            "MODEL.NECK is of SOLO's models; YOLOX has a PAFPN of its own, with MODEL.YOLOX.SPP for pooling before it."
        )


def _features(backbone: Backbone, names: list[str]) -> tuple[list[int], list[int]]:
    """Return channels and strides of the features that the neck reads.

    Raises:
        UserError: If they are not three, each of half the size of the one before.
    """
    shapes = backbone.output_shape()
    if unknown := [name for name in names if name not in shapes]:
        raise UserError(
            f"MODEL.YOLOX.IN_FEATURES has {unknown[0]!r}; the backbone has {', '.join(shapes)}."
        )
    strides = [shapes[name].stride for name in names]
    if len(names) != 3 or any(2 * low != high for low, high in pairwise(strides)):
        raise UserError(
            f"MODEL.YOLOX.IN_FEATURES {list(names)} have strides {strides}; give three, each twice the one "
            f"before. The backbone has {', '.join(f'{name} ({shapes[name].stride})' for name in shapes)}."
        )
    return [shapes[name].channels for name in names], strides
