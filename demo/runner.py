"""What the demo does with the images of a list or the frames of a video, once it knows which."""

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from detectron2.structures import Instances
from image_paths import check_output, plan_outputs
from tqdm import tqdm

from solo.errors import UserError, is_mistake
from solo.files import check_folder, write_text
from solo.images import read_picture
from solo.inference import Predictor
from solo.inference.tiling import TileRule
from solo.inference.tracking import MaskIoUTracker
from solo.structures.instances import select_confident
from solo.visualization.draw import PALETTE, draw_instances
from solo.visualization.pictures import write_picture
from solo.visualization.video import VideoSink, VideoSource, one_ahead

NO_SCREEN = (
    "--show: there is no screen, or OpenCV was built without windows (install opencv-python in "
    "place of opencv-python-headless)."
)


class Options(NamedTuple):
    """What the command line says, but for the inputs."""

    config_file: str | None
    onnx: str | None
    weights: str
    device: str
    opts: Sequence[str]
    tiles: int | None
    output: Path | None
    json: Path | None
    show: bool
    confidence_threshold: float


class Runner:
    """The model, what it found, and what went wrong.

    Attributes:
        num_done: Images or frames that were processed.
        seconds: That the frames of a video took, from the first to the closed file.
        model_seconds: That the model took.
        failures: What went wrong, in words.
    """

    def __init__(self, options: Options) -> None:
        """Remember the options; nothing is read or loaded yet."""
        self.options = options
        self.num_done = 0
        self.seconds = 0.0
        self.model_seconds = 0.0
        self.failures: list[str] = []
        self._predictor: Predictor | None = None
        self._records: list[dict[str, Any]] = []

    def fail(self, problem: str | Exception, source: str = "") -> None:
        """Tell, and count, what went wrong; with the traceback of what is no mistake of the user.

        Args:
            problem: In words, or as it was raised.
            source: What it went wrong with, for problems that do not say so.
        """
        sentence = str(problem) if source in str(problem) else f"{source}: {problem}"
        self.failures.append(sentence)
        if isinstance(problem, Exception) and not is_mistake(problem):
            tqdm.write("".join(traceback.format_exception(problem)), file=sys.stderr)
        tqdm.write(f"error: {sentence}", file=sys.stderr)

    def run_images(self, images: Sequence[Path]) -> None:
        """Process images; a failure with one does not keep the others.

        Raises:
            UserError: The options do not fit the images, or the model cannot be built.
            OSError: Nothing can be written to the outputs, or a file of the model cannot be read.
        """
        output = self.options.output
        outputs = plan_outputs(images, output) if output else {}
        for folder in {path.parent for path in outputs.values()}:
            check_folder(folder)
        # A hundred masks of a large photo are gigabytes as bitmaps, and megabytes as run lengths.
        self._prepare(images, lean=True)
        for image in tqdm(images, unit=" images"):
            try:
                if outputs:
                    check_output(outputs[image], images)
                pixels = read_picture(image, self._built.max_pixels)
                found = self._find(pixels)
                picture = draw_instances(pixels, found, self._built.class_names)
                records = self._describe(found, {"file_name": str(image)})
                if outputs:
                    write_picture(picture, outputs[image])
            except Exception as error:  # whatever it is, the other images are not to suffer
                self.fail(error, str(image))
                continue
            self._remember(records)
            if not self._show(picture, wait=0):
                return

    def run_video(self, source: Path | int) -> None:
        """Process a video file, or a camera by its number, to its end or until q in the window.

        However this ends, the frames done so far are in the output, and it is playable.

        Raises:
            UserError: It cannot be read or has no frames, or the options do not fit.
            OSError: Nothing can be written to the outputs, or a file of the model cannot be read.
        """
        files = [source] if isinstance(source, Path) else []
        with VideoSource(source) as video:
            sink = self._video_sink(source, video.fps, files)
            # Of frames bitmaps are faster, but for the thousand objects that tiles may find.
            self._prepare(files, lean=self.options.tiles is not None)
            started = time.perf_counter()
            try:
                with sink or contextlib.nullcontext():
                    self._run_frames(video, sink)
            finally:
                self.seconds = time.perf_counter() - started
                if sink:
                    self.num_done = sink.num_frames
            if not self.num_done:
                raise UserError(f"{video.name}: a video without frames.")

    def write_json(self) -> None:
        """Write what was found, also after failures; nothing where the model was never asked."""
        if not self.options.json or not self._predictor:
            return
        try:
            write_text(json.dumps(self._records), self.options.json)
        except OSError as error:
            self.fail(error)

    def _prepare(self, inputs: Sequence[Path], *, lean: bool) -> None:
        """Check the screen and the JSON file, then build the model: what takes long comes last."""
        options = self.options
        if options.show and not _has_screen():
            raise OSError(NO_SCREEN)
        if options.json:
            if options.json.is_dir():
                raise UserError(f"--json {options.json} is a folder: name a file.")
            check_folder(options.json.parent)
            check_output(options.json, inputs)
        tiles = None if options.tiles is None else TileRule(size=options.tiles)
        if options.onnx:
            mask_format = "rle" if lean else "bitmask"
            self._predictor = Predictor.from_onnx(
                options.onnx, mask_format=mask_format, tiles=tiles
            )
            return
        assert options.config_file, "there is neither a config nor an ONNX file"
        run_lengths = ["MODEL.SOLO.TEST.MASK_FORMAT", "rle"] if lean else []
        self._predictor = Predictor.from_config(
            options.config_file,
            options.weights,
            device=options.device,
            opts=[*run_lengths, *options.opts],
            tiles=tiles,
        )

    @property
    def _built(self) -> Predictor:
        assert self._predictor, "the model is asked before it is built"
        return self._predictor

    def _video_sink(
        self, source: Path | int, fps: float, files: Sequence[Path]
    ) -> VideoSink | None:
        if not self.options.output:
            return None
        stem = source.stem if isinstance(source, Path) else "webcam"
        path = _video_path(self.options.output, stem)
        check_folder(path.parent)
        check_output(path, files)
        return VideoSink(path, fps)

    def _run_frames(self, video: VideoSource, sink: VideoSink | None) -> None:
        # Decoding, the model and drawing have a thread each, and encoding this one: the model waits
        # for none of them.
        with (
            one_ahead(video) as frames,
            one_ahead((frame, self._find(frame)) for frame in frames) as found,
            one_ahead(self._finish(found, video.name)) as finished,
        ):
            for picture, records in tqdm(finished, total=video.num_frames or None, unit=" frames"):
                if sink:
                    sink.write(picture)
                self._remember(records)
                if not self._show(picture, wait=1):
                    return

    def _finish(
        self, frames: Iterable[tuple[np.ndarray, Instances]], name: str
    ) -> Iterator[tuple[np.ndarray, list[dict[str, Any]]]]:
        """Draw and describe the instances of each frame, with one colour per object throughout."""
        tracker = MaskIoUTracker(num_colors=len(PALETTE))
        for index, (frame, found) in enumerate(frames):
            numbers = tracker.update(found)
            names = self._built.class_names
            records = self._describe(found, {"file_name": name, "frame": index})
            # There are no records where none are asked for.
            for record, number in zip(records, numbers.tolist(), strict=False):
                record["track_id"] = number
            yield draw_instances(frame, found, names, color_by=numbers), records

    def _find(self, image: np.ndarray) -> Instances:
        """Find the confident instances of an (H, W, 3) BGR image."""
        started = time.perf_counter()
        found = self._built(image)
        self.model_seconds += time.perf_counter() - started
        return select_confident(found, self.options.confidence_threshold)

    def _describe(self, found: Instances, source: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the entries of the JSON file, where one is asked for."""
        if not self.options.json:
            return []
        return [{**source, **record} for record in self._built.to_dicts(found)]

    def _remember(self, records: list[dict[str, Any]]) -> None:
        """Count an image or frame whose picture is written: only then it is done."""
        self.num_done += 1
        self._records.extend(records)

    def _show(self, picture: np.ndarray, *, wait: int) -> bool:
        """Show a picture for some milliseconds, 0: until a key; return whether to go on."""
        if not self.options.show:
            return True
        try:
            cv2.imshow("solo", picture)
            return cv2.waitKey(wait) not in (ord("q"), 27)
        except cv2.error as error:
            raise OSError(NO_SCREEN) from error


def _has_screen() -> bool:
    """Return whether a window may open: without a display the window system ends the process."""
    is_linux = sys.platform.startswith("linux")
    return not is_linux or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _video_path(output: Path, stem: str) -> Path:
    return output / f"{stem}.mp4" if output.is_dir() or not output.suffix else output
