"""Find instances with an exported ONNX model: NumPy, OpenCV, Pillow and onnxruntime, and no torch.

This file needs no other of its package; the export puts a copy, solo_runtime.py, beside each model.

    model = Model("model.onnx")
    found = model(read_image("photo.jpg"))  # .masks (n, H, W) bool, .boxes, .classes, .scores
"""

import argparse
import importlib
import json
import os
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

# The names of the outputs, the metadata in the file, and what runs it.
Graph = tuple[list[str], str | None, Callable[[np.ndarray], Sequence[np.ndarray]]]
_CPU = ("CPUExecutionProvider",)
_OUTPUTS = ("scores", "classes", "count")  # beside "masks" or "boxes"
MAX_METADATA = 1_000_000  # characters; 1200 classes take a twentieth
MAX_PIXELS = 100_000_000  # of a graph's input: 12 bytes each there, and far more in the layers


def _are(values: object, *kinds: type, low: float = -1e100, high: float = 1e100) -> bool:
    return isinstance(values, list) and all(
        type(value) in kinds and (type(value) is str or low <= value <= high) for value in values
    )


# What this file reads of the metadata, which may be anyone's, and whether it can work with a value.
_ENTRIES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("class_names", "outputs"), lambda v: _are(v, str)),
    "category_ids": lambda v: _are(v, int, str),
    **dict.fromkeys(("mask_thresh", "threshold"), lambda v: _are([v], int, float, low=0, high=1)),
    "input.channels": lambda v: v in ("RGB", "BGR"),
    "input.size": lambda v: v is None or (_are(v, int, low=1) and len(v) == 2),
    "input.square": lambda v: isinstance(v, bool),
    "input.divisor": lambda v: _are([v], int, low=1, high=4096),
    **dict.fromkeys(("input.short_edge", "input.long_edge"), lambda v: _are([v], int, low=0)),
    "input.pad_value": lambda v: _are(v, int, float, low=-1e6, high=1e6) and len(v) == 3,
}


class Instances(NamedTuple):
    """The n instances found in an image of H x W, in descending order of score."""

    masks: np.ndarray  # (n, H, W) bool; of a model that finds boxes alone (n, 0, 0)
    boxes: np.ndarray  # (n, 4) float32 XYXY in pixels, the far edge exclusive; zeros: an empty mask
    classes: np.ndarray  # (n,) int64
    scores: np.ndarray  # (n,) float32


class Frames(NamedTuple):
    """The three frames an image goes through, each (height, width) in pixels."""

    padded: tuple[int, int]
    resized: tuple[int, int]
    original: tuple[int, int]


class Model:
    """An exported model.

    Attributes:
        metadata, finds: What the export wrote about the model; whether it finds "masks" or "boxes" alone.
        class_names: Name per class, or none.
        threshold: Score from which on instances are returned: of the best F1, if the model was evaluated.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, threads: int = 0, providers: Sequence[str] = _CPU
    ) -> None:
        """Load a model.

        Args:
            path: An ONNX file of `solo export`.
            threads: Of the CPU; 0: all.
            providers: Of onnxruntime, the best first.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no such model, or another one, or of another version.
            RuntimeError: If the package that runs it is not installed.
        """
        self._path = os.path.expanduser(path)
        self._outputs, metadata, self._run = self._load(threads, providers)
        self.finds = "masks" if "masks" in self._outputs else "boxes"
        if metadata is None or not {*_OUTPUTS, self.finds} <= {*self._outputs}:
            raise ValueError(f"{path}: not a model of `solo export`.")
        self.metadata: dict[str, Any] = _parse(path, metadata)
        self.class_names: list[str] = self.metadata["class_names"]
        self.threshold: float = self.metadata["threshold"]

    def __call__(self, image_bgr: np.ndarray, *, threshold: float | None = None) -> Instances:
        """Find the instances of one image, each object once; of a model without suppression all candidates.

        Args:
            image_bgr: (H, W, 3) uint8, BGR, as cv2.imread gives it.
            threshold: Score from which on instances are returned. None: the model's.

        Raises:
            ValueError: If the image has another shape or type, or becomes too large.
            RuntimeError: If the graph fails, or finds what its metadata has no words for.
        """
        inputs, frames = prepare(image_bgr, self.metadata["input"])
        outputs, mask_thresh = self.run(inputs), self.metadata["mask_thresh"]
        if self.metadata.get("post") == "raw":
            return finish(outputs, frames, mask_thresh)
        # They are in descending order: the mask of what is left out is not made.
        least = self.threshold if threshold is None else threshold
        outputs["count"] = np.minimum(outputs["count"], (outputs["scores"] >= least).sum())
        return one_per_object(finish(outputs, frames, mask_thresh))

    def run(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph on what `prepare` gives, or raise as a call; see the metadata for outputs."""
        try:
            outputs = dict(zip(self._outputs, self._run(inputs), strict=True))
            scores, classes, count = (outputs[name] for name in _OUTPUTS)
            shapes, known = outputs[self.finds], range(len(self.metadata["category_ids"]))
            alike = len(shapes) == len(scores) == len(classes) >= count >= 0
            fit = {"masks": shapes.ndim == 3, "boxes": shapes.shape[1:] == (4,)}[self.finds]
            if not (alike and fit) or not np.isin(classes[: int(count)], known).all():
                raise ValueError("it finds no instances, or not of the classes of its metadata")
        except Exception as error:  # runtimes have a class of their own for each way to fail
            raise RuntimeError(f"{self._path}: fails on {inputs.shape} ({error}).") from error
        return outputs

    def _load(self, threads: int, providers: Sequence[str]) -> Graph:
        def load(library: Any) -> Graph:
            options = library.SessionOptions()
            options.intra_op_num_threads = threads
            session = library.InferenceSession(self._path, options, providers=list(providers))
            names = [output.name for output in session.get_outputs()]
            metadata = session.get_modelmeta().custom_metadata_map.get("solo")
            return names, metadata, lambda inputs: session.run(names, {"image": inputs})

        return load_by("onnxruntime", self._path, load)


def prepare(image_bgr: np.ndarray, rules: Mapping[str, Any]) -> tuple[np.ndarray, Frames]:
    """Resize an image, (H, W, 3) uint8 BGR, as in training, and pad it, by "input" of the metadata.

    Returns the (1, 3, H', W') float32 input of the graph, and the frames of the image; raises a ValueError if
    the image has another shape or type, or becomes too large.
    """
    image = np.asarray(image_bgr)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"Give a NumPy array (H, W, 3) uint8, not {image.shape} {image.dtype}.")
    image = image[:, :, ::-1] if rules["channels"] == "RGB" else image
    (height, width), unit = resized_size(image.shape[:2], rules), rules["divisor"]
    sides = [max(height, width)] * 2 if rules.get("square") else [height, width]
    padded = tuple(rules["size"] or (-(-side // unit) * unit for side in sides))
    if max(height * width, padded[0] * padded[1]) > MAX_PIXELS:
        raise ValueError(
            f"The image becomes {height} x {width} pixels for the network, which takes up to "
            f"{MAX_PIXELS // 10**6} million: give a smaller one, or look at it in tiles."
        )
    # Pillow's filter: OpenCV's, which does not average where it shrinks, gives other pixels.
    opened = Image.fromarray(np.ascontiguousarray(image))
    pixels = np.asarray(opened.resize((width, height), Image.Resampling.BILINEAR))
    # The graph subtracts the mean, and what is left of this is what the model was trained with.
    inputs = np.full((1, 3, *padded), np.float32(rules["pad_value"])[:, None, None])
    inputs[0, :, :height, :width] = pixels.transpose(2, 0, 1)
    return inputs, Frames(padded, (height, width), image_bgr.shape[:2])


def resized_size(size: tuple[int, int], rules: Mapping[str, Any]) -> tuple[int, int]:
    """Return the (height, width) that an image of this size is resized to."""
    height, width = size
    if rules["size"]:
        sides, scale = size, min(rules["size"][0] / height, rules["size"][1] / width)
    elif short := rules["short_edge"]:
        # In the order of detectron2's ResizeShortestEdge, or halves are rounded otherwise.
        scale = short / min(size)
        sides = (short, scale * width) if height < width else (scale * height, short)
        scale = min(rules["long_edge"] / max(sides), 1.0)
    else:
        return size
    return max(int(sides[0] * scale + 0.5), 1), max(int(sides[1] * scale + 0.5), 1)


def finish(outputs: Mapping[str, np.ndarray], frames: Frames, mask_thresh: float) -> Instances:
    """Bring the masks of a graph's outputs to the original image and take their boxes; or boxes alone.

    Two bilinear steps, to the padded input and, cropped, to the image, as at evaluation. A pixel belongs to a
    mask if its probability is above `mask_thresh`.
    """
    count = int(outputs["count"])
    if "masks" not in outputs:
        scale = np.divide(frames.original[::-1], frames.resized[::-1], dtype=np.float32)
        limits = np.array(frames.original[::-1] * 2, dtype=np.float32)
        boxes = (outputs["boxes"][:count] * np.tile(scale, 2)).clip(0, limits)
        shown = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        fields = (np.zeros((count, 0, 0), bool), boxes, outputs["classes"], outputs["scores"])
        return Instances(*(field[shown] for field in fields))
    # Zeros take no memory where nothing is written: a large photo has a hundred masks of its size.
    masks = np.zeros((count, *frames.original), dtype=bool)
    boxes = np.zeros((count, 4), dtype=np.float32)
    for index, soft in enumerate(outputs["masks"][:count]):
        soft = cv2.resize(soft, frames.padded[::-1])[: frames.resized[0], : frames.resized[1]]
        hard = cv2.resize(soft, frames.original[::-1]) > mask_thresh
        left, top, width, height = cv2.boundingRect(hard.view(np.uint8))
        right, bottom = left + width, top + height
        boxes[index] = left, top, right, bottom
        masks[index, top:bottom, left:right] = hard[top:bottom, left:right]
    return Instances(masks, boxes, outputs["classes"][:count], outputs["scores"][:count])


def one_per_object(found: Instances) -> Instances:
    """Leave out each whose mask, or else box, is empty or overlaps a more confident one's by half or more."""
    kept: list[int] = []
    if not found.masks.shape[1]:
        sides = np.hstack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]])
        kept += [*cv2.dnn.NMSBoxes(sides.tolist(), found.scores.tolist(), 0.0, 0.5 - 1e-6)]
        return Instances(*(field[kept] for field in found))
    areas = [np.count_nonzero(mask) for mask in found.masks]
    for index, area in enumerate(areas):
        left, top, right, bottom = found.boxes[index].astype(int)
        own, others = (found.masks[rows, top:bottom, left:right] for rows in (index, kept))
        shared = np.count_nonzero(own & others, axis=(1, 2))
        if area and (3 * shared < area + np.array([areas[other] for other in kept])).all():
            kept.append(index)
    return found if len(kept) == len(areas) else Instances(*(field[kept] for field in found))


def load_by(package: str, path: str, load: Callable[[Any], Graph]) -> Graph:
    """Return what a function makes of a package, or raise as `Model`: it is not there, or fails on the file."""
    try:
        library = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise RuntimeError(f"{package} is not installed: pip install {package}.") from error
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file.")
    try:
        return load(library)
    except Exception as error:  # runtimes have a class of their own for each way to fail
        raise ValueError(f"{path}: {package} cannot load it ({error}).") from error


def _parse(path: str | os.PathLike[str], text: str) -> dict[str, Any]:
    if len(text) > MAX_METADATA:
        raise ValueError(f"{path}: its metadata has {len(text)} characters: export it again.")
    try:
        metadata: dict[str, Any] = {"threshold": 0, **json.loads(text)}  # older exports have none
        entries = {"input.square": False, **metadata}  # likewise
        entries |= {f"input.{key}": rule for key, rule in metadata["input"].items()}
        wrong = [entry for entry, fits in _ENTRIES.items() if not fits(entries[entry])]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: exported by another version: export it again.") from None
    if wrong:
        value = reprlib.repr(entries[wrong[0]])
        raise ValueError(f"{path}: its metadata says {wrong[0]} {value}: export it again.")
    return metadata


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image upright as (H, W, 3) uint8 BGR, 16 bits of gray as 8, or raise a ValueError."""
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
            return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ValueError(f"{path}: cannot be read as an image ({error}).") from error


def main(argv: Sequence[str] | None = None, load: Callable[[str], Model] = Model) -> None:
    """Print the instances of images, named by the arguments, as lines of JSON: file, class, score, box."""
    usage = "python solo_runtime.py model.onnx photos/*.jpg"
    parser = argparse.ArgumentParser(None, usage, "Print the instances of images as lines of JSON.")
    parser.add_argument("model", help="file of `solo export`")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    args, failures = parser.parse_args(argv), 0
    try:
        model = load(args.model)
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"error: {error}") from error
    for name in args.images:
        try:
            found = model(read_image(name))
        except Exception as error:  # whatever it is, the other images are not to suffer
            failures += 1
            print("error:", error if name in str(error) else f"{name}: {error}", file=sys.stderr)
            continue
        for box, label, score in zip(*(field.tolist() for field in found[1:]), strict=True):
            label = model.class_names[label] if label < len(model.class_names) else label
            print(json.dumps({"file": name, "class": label, "score": round(score, 5), "box": box}))
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
