"""Find the instances of images with a trained model, run by torch or by onnxruntime.

    predictor = Predictor.from_config("config.yaml", "model_final.pth")
    instances = predictor(cv2.imread("photo.jpg"))
    print(predictor.to_dicts(instances))

Legend: H, W size of an image, n instances, K classes.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from detectron2.structures import BoxMode, Instances

from solo import model_zoo
from solo.config.choices import MaskFormat
from solo.config.load import inference_config
from solo.errors import UserError
from solo.evaluation.coco import predicted_rles
from solo.images import MAX_PIXELS
from solo.inference.onnx_backend import OnnxBackend
from solo.inference.tiling import TileRule, find_in_tiles
from solo.inference.torch_backend import TorchBackend
from solo.structures.instances import class_name

# Who asks for tiles has large images: 25,000 x 20,000 pixels take 5 GB while they are decoded.
_TILED_MAX_PIXELS = 500_000_000


class Backend(Protocol):
    """What runs a network: `TorchBackend` or `OnnxBackend`.

    Attributes:
        class_names: Name per class, K of them or none.
        category_ids: K of them: the data set's own where they are known; else 0 to K - 1.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]

    def find(self, images: Sequence[np.ndarray]) -> list[Instances]:
        """Find the instances of images.

        Args:
            images: (H, W, 3) uint8 BGR each, of any sizes.

        Returns:
            Instances at the size of each image, on the CPU, in descending order of score:
            `pred_boxes` (XYXY in pixels), `scores`, `pred_classes`, and `pred_masks` or `pred_rles`.
        """
        ...


class Predictor:
    """A trained model that takes images and returns their instances.

    Its class_names and category_ids are those of its `Backend`.

    Attributes:
        max_pixels: Of an image file that is read for it.
    """

    def __init__(
        self, backend: Backend, *, tiles: TileRule | None = None, max_pixels: int = MAX_PIXELS
    ) -> None:
        """Take a model that is built; the constructors by name build one.

        Args:
            backend: What runs the network.
            tiles: How to cut images whose longer side is over its size. None: none is cut.
            max_pixels: Of an image file that is read for it; with tiles 500 million at least.
        """
        self._backend = backend
        self._tiles = tiles
        self.max_pixels = max(max_pixels, _TILED_MAX_PIXELS) if tiles else max_pixels
        self.class_names = backend.class_names
        self.category_ids = backend.category_ids

    @classmethod
    def from_config(
        cls,
        config_file: str | Path,
        weights: str = "",
        *,
        device: str = "",
        opts: Sequence[str] = (),
        tiles: TileRule | None = None,
    ) -> "Predictor":
        """Build the model of a config file, and load its weights.

        Args:
            config_file: A yaml file, or the name of a config that comes with solo.
            weights: The checkpoint. Empty: MODEL.WEIGHTS of `opts`.
            device: "cpu", "cuda" or "cuda:1". Empty: cuda where there is one, else cpu.
            opts: KEY VALUE KEY VALUE ..., laid over the file.
            tiles: See the constructor.

        Raises:
            FileNotFoundError: There is no such config file or checkpoint.
            UserError: The config is wrong, or the checkpoint does not fit it.
        """
        cfg = inference_config(config_file, weights, device, opts)
        return cls(TorchBackend(cfg), tiles=tiles, max_pixels=cfg.INPUT.MAX_PIXELS)

    @classmethod
    def from_model_zoo(
        cls,
        name: str = model_zoo.DEFAULT_MODEL,
        weights: str = "",
        *,
        device: str = "",
        opts: Sequence[str] = (),
        tiles: TileRule | None = None,
    ) -> "Predictor":
        """Build the model of a config that comes with solo, and load its weights.

        Args:
            name: As in `solo.model_zoo`: "coco/solov2_R_50_FPN_3x".
            weights: The checkpoint: of a training of yours, of the official code, of mmdetection or
                of AdelaiDet. Empty: MODEL.WEIGHTS of `opts`, else the published one of that name, which
                is fetched once.
            device: See :meth:`from_config`, as for the others.
            opts: KEY VALUE KEY VALUE ..., laid over the config.
            tiles: See the constructor.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            OSError: The published one cannot be fetched; it says how to do without a net.
            UserError: There is no such config, or the checkpoint does not fit, or none is published.
        """
        config_file = model_zoo.get_config_file(name)
        if not weights and "MODEL.WEIGHTS" not in opts:
            weights = model_zoo.weights_address(name)
        return cls.from_config(config_file, weights, device=device, opts=opts, tiles=tiles)

    @classmethod
    def from_onnx(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        mask_format: str = MaskFormat.BITMASK,
        tiles: TileRule | None = None,
    ) -> "Predictor":
        """Load a file of `solo export`; onnxruntime runs it on the CPU.

        Args:
            path: The ONNX file.
            threads: Of the CPU; 0: all.
            mask_format: "bitmask": `pred_masks`; "rle": `pred_rles`, which need no masks of the
                image's size.
            tiles: See the constructor.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: It is no ONNX model, or another one, or onnxruntime is not installed, or there
                is no such format of masks.
        """
        return cls(OnnxBackend(path, threads=threads, mask_format=mask_format), tiles=tiles)

    def __call__(self, image_bgr: np.ndarray) -> Instances:
        """Find the instances of one image.

        Args:
            image_bgr: (H, W, 3) uint8, BGR. Gray images, (H, W) or (H, W, 1), and images with an
                alpha channel, which is dropped, are taken, too.

        Returns:
            Instances at the size of the image, on the CPU, in descending order of score:
            `pred_boxes` (XYXY in pixels), `scores`, `pred_classes`, and `pred_masks` or `pred_rles`.

        Raises:
            UserError: The image has another shape or type.
        """
        return self.batch([image_bgr])[0]

    def batch(self, images: Sequence[np.ndarray]) -> list[Instances]:
        """Find the instances of several images, of any sizes.

        All of one size go through the network together: whoever has more than fit the memory calls
        this a few at a time. An exported model, and any with tiles, takes them one after the other.
        Each image gets what it gets alone.

        Args:
            images: As for one image.

        Returns:
            Instances per image.

        Raises:
            UserError: An image has another shape or type, or one array is given in place of a list.
        """
        if isinstance(images, np.ndarray) and images.ndim < 4:
            raise UserError(
                f"batch takes a list of images, not an array {images.shape}: give [image]."
            )
        images = [_to_three_channels(image) for image in images]
        if self._tiles is None:
            return self._backend.find(images)
        return [find_in_tiles(image, self._backend.find, self._tiles) for image in images]

    def to_dicts(self, instances: Instances) -> list[dict[str, Any]]:
        """Describe instances in plain Python, which JSON has words for.

        Args:
            instances: Of one image.

        Returns:
            Per instance: category_id, category_name, score, bbox (XYWH in pixels) and segmentation,
            an RLE of COCO with its counts as text.
        """
        boxes = BoxMode.convert(instances.pred_boxes.tensor, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
        tensors = (instances.pred_classes, instances.scores, boxes)
        fields = [*(tensor.tolist() for tensor in tensors), predicted_rles(instances) or []]
        return [
            {
                "category_id": self.category_ids[category],
                "category_name": class_name(category, self.class_names),
                "score": round(score, 5),
                "bbox": [round(value, 2) for value in box],
                "segmentation": rle,
            }
            for category, score, box, rle in zip(*fields, strict=True)
        ]


def _to_three_channels(image: np.ndarray) -> np.ndarray:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or not image.size:
        given = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image)
        raise UserError(f"An image must be a NumPy array (H, W, 3) uint8 with pixels, not {given}.")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise UserError(
            f"An image must be (H, W, 3) in BGR order, gray, or BGR with alpha, not {image.shape}."
        )
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    # As Pillow does where training reads an image with alpha.
    return image[:, :, :3]
