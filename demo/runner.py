"""What the demo does with the images of a list or the frames of a video, once it knows which."""

import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from coco_results import to_records
from detectron2.structures import Instances
from image_files import (
    check_output,
    plan_outputs,
    read_picture,
    write_picture,
    write_whole,
)
from tqdm import tqdm

from solo.engine.predictor import Predictor, inference_config
from solo.export.predictor import OnnxPredictor
from solo.visualization.draw import draw_instances
from solo.visualization.files import check_folder
from solo.visualization.regions import select_confident
from solo.visualization.video import VideoSink, VideoSource


class Options(NamedTuple):
    """What the command line says, but for the inputs."""

    config_file: Path | None
    onnx: Path | None
    weights: str
    device: str
    opts: Sequence[str]
    output: Path | None
    json: Path | None
    show: bool
    confidence_threshold: float


class Runner:
    """The model, what it found, and what went wrong.

    Attributes:
        num_done: Images or frames that were processed.
        failures: What went wrong, in words.
    """

    def __init__(self, options: Options) -> None:
        """Remember the options; nothing is read or loaded yet."""
        self.options = options
        self.num_done = 0
        self.failures: list[str] = []
        self._predictor: Predictor | OnnxPredictor | None = None
        self._records: list[dict[str, Any]] = []

    def fail(self, problem: object) -> None:
        """Tell, and count, what went wrong with one input or output."""
        self.failures.append(str(problem))
        tqdm.write(f"error: {problem}", file=sys.stderr)

    def run_images(self, images: Sequence[Path]) -> None:
        """Process images; a failure with one does not keep the others.

        Raises:
            ValueError: The options do not fit the images, or the model cannot be built.
            OSError: Nothing can be written to the outputs, or a file of the model cannot be read.
        """
        output = self.options.output
        outputs = plan_outputs(images, output) if output else {}
        for folder in {path.parent for path in outputs.values()}:
            check_folder(folder)
        self._prepare(images)
        for image in tqdm(images, unit=" images"):
            try:
                if outputs:
                    check_output(outputs[image], images)
                found, picture = self._process(read_picture(image), "instance")
                if outputs:
                    write_picture(outputs[image], picture)
            except Exception as error:  # whatever it is, the other images are not to suffer
                known = str(image) in str(error)
                self.fail(error if known else f"{image}: {error}")
                continue
            self._remember(found, {"file_name": str(image)})
            if not self._show(picture, wait=0):
                return

    def run_video(self, source: Path | int) -> None:
        """Process a video file, or a camera by its number, to its end or until q in the window.

        However this ends, the frames done so far are in the output, and it is playable.

        Raises:
            ValueError: It cannot be read or has no frames, or the options do not fit.
            OSError: Nothing can be written to the outputs, or a file of the model cannot be read.
        """
        files = [source] if isinstance(source, Path) else []
        with VideoSource(source) as video, contextlib.ExitStack() as stack:
            sink = None
            if self.options.output:
                stem = source.stem if isinstance(source, Path) else "webcam"
                path = _video_path(self.options.output, stem)
                check_folder(path.parent)
                check_output(path, files)
                sink = stack.enter_context(VideoSink(path, video.fps))
            self._prepare(files)
            self._run_frames(video, sink)
            if not self.num_done:
                raise ValueError(f"{video.name}: a video without frames.")

    def write_json(self) -> None:
        """Write what was found, also after failures; nothing where the model was never asked."""
        if not self.options.json or not self._predictor:
            return
        try:
            write_whole(self.options.json, json.dumps(self._records).encode())
        except OSError as error:
            self.fail(error)

    def _prepare(self, inputs: Sequence[Path]) -> None:
        """Check the JSON file, then build the model: what takes long comes last."""
        options = self.options
        if options.json:
            check_folder(options.json.parent)
            check_output(options.json, inputs)
        if options.onnx:
            self._predictor = OnnxPredictor(options.onnx)
            return
        self._predictor = Predictor(
            inference_config(options.config_file, options.weights, options.device, options.opts)
        )

    def _run_frames(self, video: VideoSource, sink: VideoSink | None) -> None:
        frames: Iterable[np.ndarray] = tqdm(video, total=video.num_frames or None, unit=" frames")
        for index, frame in enumerate(frames):
            # By class: instances change their order from frame to frame.
            found, picture = self._process(frame, "class")
            if sink:
                sink.write(picture)
            self._remember(found, {"file_name": video.name, "frame": index})
            if not self._show(picture, wait=1):
                return

    def _process(self, image: np.ndarray, color_by: str) -> tuple[Instances, np.ndarray]:
        """Find the instances of an (H, W, 3) BGR image; return them, and the image with them."""
        found = select_confident(self._predictor(image), self.options.confidence_threshold)
        picture = draw_instances(image, found, self._predictor.class_names, color_by=color_by)
        return found, picture

    def _remember(self, found: Instances, source: dict[str, Any]) -> None:
        """Count an image or frame whose picture is written: only then it is done."""
        self.num_done += 1
        if self.options.json:
            self._records.extend(to_records(found, self._predictor, source))

    def _show(self, picture: np.ndarray, *, wait: int) -> bool:
        """Show a picture for some milliseconds, 0: until a key; return whether to go on."""
        if not self.options.show:
            return True
        try:
            cv2.imshow("solo", picture)
            return cv2.waitKey(wait) not in (ord("q"), 27)
        except cv2.error as error:
            raise OSError(
                "--show: there is no screen, or OpenCV was built without windows (install "
                "opencv-python in place of opencv-python-headless)."
            ) from error


def _video_path(output: Path, stem: str) -> Path:
    return output / f"{stem}.mp4" if output.is_dir() or not output.suffix else output
