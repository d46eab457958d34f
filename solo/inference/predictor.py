"""Find the instances of images with a trained model, run by torch, onnxruntime or OpenVINO.

    predictor = Predictor.from_run("output/cats")
    instances = predictor("photo.jpg")
    print(predictor.to_dicts(instances))
    cv2.imwrite("drawn.png", predictor.draw("photo.jpg", instances))

Legend: H, W size of an image, n instances, K classes.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import BoxMode, Instances

from solo import model_zoo
from solo.architectures import BBOX, SEGM
from solo.checkpoint.run_files import model_of_run
from solo.config.choices import MaskFormat
from solo.config.load import inference_config
from solo.errors import UserError
from solo.evaluation.coco import predicted_rles
from solo.images import MAX_PIXELS
from solo.inference.backend import Backend
from solo.inference.exported_backend import ExportedBackend
from solo.inference.image_input import ImageLike, as_image
from solo.inference.tiling import TileRule, find_in_tiles
from solo.inference.torch_backend import TorchBackend
from solo.layers.one_label import one_per_object
from solo.structures.instances import THRESHOLD, class_name, select_confident

# Who asks for tiles has large images: 25,000 x 20,000 pixels take 5 GB while they are decoded.
_TILED_MAX_PIXELS = 500_000_000


class Predictor:
    """A trained model that takes images and returns their instances, each object once.

    Its class_names, category_ids and origin are those of its `Backend`.

    Attributes:
        threshold: Score from which on instances are returned: the one of the best F1 in the model's own
            evaluation; 0.3 where it has none.
        is_evaluated: Whether it has one.
        tasks: What they are evaluated by: "bbox"; if they have masks "segm", too, and maybe "boundary".
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
        self.origin = tuple(getattr(backend, "origin", ()))
        own: float | None = getattr(backend, "threshold", None)
        self.is_evaluated, self.threshold = own is not None, THRESHOLD if own is None else own
        self.tasks: tuple[str, ...] = getattr(backend, "tasks", (BBOX, SEGM))

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
    def from_run(
        cls,
        folder: str | os.PathLike[str],
        weights: str = "",
        *,
        device: str = "",
        opts: Sequence[str] = (),
        tiles: TileRule | None = None,
    ) -> "Predictor":
        """Build the model of a training, and load its last checkpoint, or another.

        Args:
            folder: Its OUTPUT_DIR.
            weights: A checkpoint in place of the last one.
            device: See :meth:`from_config`, as for the others.
            opts: KEY VALUE KEY VALUE ..., laid over the config.
            tiles: See the constructor.

        Raises:
            FileNotFoundError: There is no such run, or no checkpoint.
            UserError: Its config is wrong.
        """
        config_file, last = model_of_run(Path(folder), Path(weights) if weights else None)
        return cls.from_config(config_file, str(last), device=device, opts=opts, tiles=tiles)

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
            weights: The checkpoint: of a training of yours, of the official code, of mmdetection or of AdelaiDet.
                Empty: MODEL.WEIGHTS of `opts`, else the published one of that name, which is fetched once.
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
    def from_exported(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        mask_format: str = MaskFormat.BITMASK,
        tiles: TileRule | None = None,
        amp: bool = False,
    ) -> "Predictor":
        """Load a file of `solo export`; onnxruntime or OpenVINO runs it on the CPU.

        Args:
            path: The .onnx file; or the .xml file, with the .bin file beside it.
            threads: Of the CPU; 0: all.
            mask_format: "bitmask": `pred_masks`; "rle": `pred_rles`, which need no masks of the image's size.
            tiles: See the constructor.
            amp: Whether OpenVINO computes in bfloat16, where the CPU does.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: It is no such model, or what runs it is not installed, or cannot do what is asked for.
        """
        backend = ExportedBackend(path, threads=threads, mask_format=mask_format, amp=amp)
        return cls(backend, tiles=tiles)

    from_onnx = from_exported  # its name before there was OpenVINO

    def __call__(self, image: ImageLike, *, threshold: float | None = None) -> Instances:
        """Find the instances of one image: the confident ones, each object once.

        Of predictions whose masks overlap by half or more only the most confident one is returned.

        Args:
            image: (H, W, 3) uint8, BGR, or the name of a file. Gray images, (H, W) or (H, W, 1), and images
                with an alpha channel, which is dropped, are taken, too.
            threshold: Score from which on instances are returned. None: the predictor's own.

        Returns:
            Instances at the size of the image, on the CPU, in descending order of score:
            `pred_boxes` (XYXY in pixels), `scores`, `pred_classes`, and `pred_masks` or `pred_rles`, if any.

        Raises:
            UserError: The image has another shape or type, or the file cannot be read.
        """
        return self.batch([image], threshold=threshold)[0]

    def batch(
        self, images: Sequence[ImageLike], *, threshold: float | None = None
    ) -> list[Instances]:
        """Find the instances of several images, of any sizes.

        All of one size go through the network together: whoever has more than fit the memory calls this a few at a
        time. An exported model, and any with tiles, takes them one after the other. Each gets what it gets alone.

        Args:
            images: As for one image.
            threshold: Likewise.

        Returns:
            Instances per image.

        Raises:
            UserError: An image cannot be used, or one is given in place of a list.
        """
        least = self.threshold if threshold is None else threshold
        confident = (select_confident(found, least) for found in self._find(images, least))
        return [one_per_object(found) for found in confident]

    def raw(self, image: ImageLike) -> Instances:
        """Return all predictions for one image, of any score, as evaluation sees them; else as a call."""
        return self._find([image])[0]

    def _find(self, images: Sequence[ImageLike], least: float = 0.0) -> list[Instances]:
        if isinstance(images, str | os.PathLike) or (
            isinstance(images, np.ndarray) and images.ndim < 4
        ):
            given = f"an array {images.shape}" if isinstance(images, np.ndarray) else repr(images)
            raise UserError(f"batch takes a list of images, not {given}: give [image].")
        arrays = [as_image(image, self.max_pixels) for image in images]
        if self._tiles is None:
            return self._backend.find(arrays, least)
        return [find_in_tiles(image, self._backend.find, self._tiles) for image in arrays]

    def draw(
        self,
        image: ImageLike,
        instances: Instances | None = None,
        *,
        threshold: float | None = None,
        **look: Any,
    ) -> np.ndarray:
        """Draw the instances of an image on a copy of it, and write the threshold into a corner.

        Args:
            image: As for a call.
            instances: Of this image. None: those that a call finds.
            threshold: As for a call; of `instances` those below are left out. None: none of them.
            **look: Of `solo.visualization.draw_instances`.

        Returns:
            (H, W, 3) uint8, BGR.

        Raises:
            UserError: The image cannot be used.
            ValueError: The instances are of an image of another size.
        """
        # Not above: who only finds has no need of what draws.
        from solo.visualization.draw import draw_instances

        pixels = as_image(image, self.max_pixels)
        if instances is None:
            threshold = self.threshold if threshold is None else threshold
            instances = self(pixels, threshold=threshold)
        return draw_instances(pixels, instances, self.class_names, threshold=threshold or 0, **look)

    def to_dicts(self, instances: Instances) -> list[dict[str, Any]]:
        """Describe instances in plain Python, which JSON has words for.

        Args:
            instances: Of one image.

        Returns:
            Per instance: category_id, category_name, score, bbox (XYWH in pixels) and, if there are masks,
            segmentation, an RLE of COCO with its counts as text.
        """
        rles = predicted_rles(instances) or [{}] * len(instances)
        boxes = BoxMode.convert(instances.pred_boxes.tensor, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
        fields = [*(t.tolist() for t in (instances.pred_classes, instances.scores, boxes)), rles]
        return [
            {
                "category_id": self.category_ids[category],
                "category_name": class_name(category, self.class_names),
                "score": round(score, 5),
                "bbox": [round(value, 2) for value in box],
                **({"segmentation": rle} if rle else {}),
            }
            for category, score, box, rle in zip(*fields, strict=True)
        ]

    def tell_threshold(self, threshold: float | None = None) -> str:
        """Return the threshold in words, and where it comes from; None: that of the predictor."""
        if threshold is not None:
            return f"threshold {threshold:g}"
        if self.is_evaluated:
            return f"threshold {self.threshold:g}, of the best F1 in the model's own evaluation"
        return f"threshold {self.threshold:g}: the model has no evaluation of its own"
