"""What is done with images and with the frames of videos and cameras, once it is known which."""

import contextlib
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import Instances
from tqdm import tqdm

from solo.config.choices import MaskFormat
from solo.demo.frames import DoneFrame, FrameStages
from solo.demo.options import Options
from solo.demo.paths import check_output, path_of, plan_outputs
from solo.demo.window import Window
from solo.errors import UserError, is_mistake
from solo.files import check_folder, write_text
from solo.images import read_picture
from solo.inference import Predictor
from solo.inference.opening import open_predictor
from solo.structures.instances import class_name
from solo.visualization.pictures import write_picture
from solo.visualization.video import VideoSink, VideoSource

__all__ = ["Options", "Runner"]


class Runner:
    """The model, what it found, and what went wrong.

        runner = Runner(Options(config_file="config.yaml", weights="model.pth", output=Path("drawn")))
        runner.run([Path("photo.jpg")])

    Attributes:
        num_images: That were processed.
        num_frames: Of videos and cameras, that were processed.
        seconds: That the frames took, from the first to the closed file.
        model_seconds: That the model took for them.
        written: The pictures and videos, and the JSON file.
        records: The entries of the JSON file, where one is asked for.
        mot: The lines of the MOT file, likewise.
        objects: Of each class, by its name; in a video each is counted once.
        predictor: The model, once it is built.
        failures: What went wrong, in words.
    """

    def __init__(self, options: Options) -> None:
        """Remember the options; nothing is read or loaded yet."""
        self.options = options
        self.num_images = 0
        self.num_frames = 0
        self.seconds = 0.0
        self.model_seconds = 0.0
        self.written: list[Path] = []
        self.records: list[dict[str, Any]] = []
        self.mot: list[str] = []
        self.objects: Counter[str] = Counter()
        self.failures: list[str] = []
        self.predictor: Predictor | None = None
        self._window: Window | None = None

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

    def run(self, images: Sequence[Path] = (), videos: Sequence[Path | int] = ()) -> None:
        """Process images, then videos; a failure with one does not keep the others.

        However a video ends, the frames done so far are in its output, and it is playable.

        Args:
            images: Files.
            videos: Files, and cameras by their numbers, to their ends or until q in the window.

        Raises:
            UserError: The options do not fit the inputs, or the model cannot be built.
            OSError: Nothing can be written to the outputs, or a file of the model cannot be read.
        """
        self.options.check(len(videos))
        output = self.options.output
        files = [path_of(video) for video in videos]
        outputs = plan_outputs(images, files, output) if output else {}
        inputs = [*images, *(video for video in videos if isinstance(video, Path))]
        # A hundred masks of a large photo are gigabytes as bitmaps, and megabytes as run lengths. Of
        # frames bitmaps are faster, but for the thousand objects that tiles may find.
        lean = bool(images) or self.options.tiles is not None
        for folder in {outputs[image].parent for image in images if outputs}:
            check_folder(folder)
        if images:
            self._prepare(inputs, lean=lean)
            self._run_images(images, outputs, inputs)
        for video in videos:
            if not self._is_ended:
                self._run_video(video, outputs.get(path_of(video)), inputs, lean=lean)

    def _run_images(
        self, images: Sequence[Path], outputs: Mapping[Path, Path], inputs: Sequence[Path]
    ) -> None:
        for image in tqdm(images, unit=" images", disable=None):
            try:
                if outputs:
                    check_output(outputs[image], inputs)
                pixels = read_picture(image, self._built.max_pixels)
                found = self._find(pixels)
                picture = self._built.draw(pixels, found, threshold=self._least)
                records = self._describe(found, {"file_name": str(image)})
                if outputs:
                    write_picture(picture, outputs[image])
                    self.written.append(outputs[image])
            except Exception as error:  # whatever it is, the other images are not to suffer
                self.fail(error, str(image))
                continue
            # Only now that its picture is written it is done.
            self.num_images += 1
            self.records.extend(records)
            self._count(found.pred_classes.tolist())
            if self._window:
                self._window.show(picture, wait=0)
            if self._is_ended:
                return

    def _run_video(
        self, source: Path | int, output: Path | None, inputs: Sequence[Path], *, lean: bool
    ) -> None:
        """Process a video; raise only what keeps all others from being processed, too."""
        with contextlib.ExitStack() as stack:
            try:
                video = stack.enter_context(VideoSource(source))
                sink = _open_sink(output, video.fps, inputs) if output else None
            except (UserError, OSError) as error:
                self.fail(error)
                return
            self._prepare(inputs, lean=lean)
            try:
                self._run_frames(video, sink)
            except Exception as error:  # the other videos are not to suffer
                self.fail(error, "" if is_mistake(error) else video.name)

    def write_json(self) -> None:
        """Write what was found, also after failures; nothing where nothing was looked at."""
        if not (self.num_images or self.num_frames):
            return
        if self.options.json:
            self._write(json.dumps(self.records), self.options.json)
        if self.options.mot:
            self._write("".join(f"{line}\n" for line in self.mot), self.options.mot)

    def _write(self, text: str, path: Path) -> None:
        try:
            write_text(text, path)
            self.written.append(path)
        except OSError as error:
            self.fail(error)

    def _prepare(self, inputs: Sequence[Path], *, lean: bool) -> None:
        """Check the screen and the files of data, then build the model: what takes long comes last."""
        options = self.options
        if self.predictor:
            return
        self._window = Window() if options.show else None
        for flag, path in (("--json", options.json), ("--mot", options.mot)):
            if path:
                if path.is_dir():
                    raise UserError(f"{flag} {path} is a folder: name a file.")
                check_folder(path.parent)
                check_output(path, inputs)
        self.predictor = open_predictor(
            *(options.config_file, options.weights, options.onnx),
            device=options.device,
            opts=options.opts,
            tiles=options.tiles,
            mask_format=MaskFormat.RLE if lean else MaskFormat.BITMASK,
        )

    @property
    def _is_ended(self) -> bool:
        return self._window is not None and self._window.is_ended

    @property
    def _built(self) -> Predictor:
        assert self.predictor  # which is built before it is asked
        return self.predictor

    @property
    def _least(self) -> float:
        given = self.options.threshold
        return self._built.threshold if given is None else given

    def _run_frames(self, video: VideoSource, sink: VideoSink | None) -> None:
        before, started = self.num_frames, time.perf_counter()
        stopped: KeyboardInterrupt | None = None
        try:
            with sink or contextlib.nullcontext():
                self._pass_frames(video, sink)
        except KeyboardInterrupt as interrupt:
            stopped = interrupt
        finally:
            self.seconds += time.perf_counter() - started
            if sink:
                # As many as can be played.
                self.num_frames = before + sink.num_frames
        if sink and self.num_frames > before:
            self.written.append(sink.path)
        if stopped:
            raise stopped
        if self.num_frames == before:
            raise UserError(f"{video.name}: a video without frames.")

    def _pass_frames(self, video: VideoSource, sink: VideoSink | None) -> None:
        stages = FrameStages(self._built, self.options, video.name, video.fps)
        # What a camera shows is shown at once.
        batch = 1 if video.is_camera else self.options.batch
        total = video.num_frames or None
        try:
            with stages.passed(video, batch) as finished:
                for frame in tqdm(finished, total=total, unit=" frames", disable=None):
                    self._take(frame, sink)
                    if self._is_ended:
                        return
        finally:
            self.model_seconds += stages.model_seconds

    def _take(self, frame: DoneFrame, sink: VideoSink | None) -> None:
        """Write, keep, count and show a frame."""
        if sink:
            sink.write(frame.picture)
        self.num_frames += 1
        self.records.extend(frame.records)
        self.mot.extend(frame.mot)
        self._count(frame.newcomers)
        if self._window:
            self._window.show(frame.picture, wait=1)

    def _find(self, image: np.ndarray) -> Instances:
        """Find the confident instances of an (H, W, 3) BGR image, each object once."""
        return self._built(image, threshold=self._least)

    def _count(self, classes: Iterable[int]) -> None:
        self.objects.update(class_name(label, self._built.class_names) for label in classes)

    def _describe(self, found: Instances, source: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the entries of the JSON file, where one is asked for."""
        if not self.options.json:
            return []
        return [{**source, **record} for record in self._built.to_dicts(found)]


def _open_sink(path: Path, fps: float, inputs: Sequence[Path]) -> VideoSink:
    check_folder(path.parent)
    check_output(path, inputs)
    return VideoSink(path, fps)
