"""Inputs through a `Runner` to the end, whatever happens on the way, and what to say of it then."""

import sys
from collections import Counter
from typing import NamedTuple

from solo.demo.runner import Options, Runner
from solo.input_files import Inputs, describe_left_out, is_video
from solo.terminal import how_many

_MAX_STATUS = 100
# What is told fits a screen.
_MOST_CLASSES, _MOST_VIDEOS = 10, 3
# What a shell reports for a program that Ctrl-C ended.
_INTERRUPTED = 130


class Done(NamedTuple):
    """What became of a job."""

    runner: Runner
    summary: str
    status: int  # for the shell: the number of failures, at most 100; 130 after Ctrl-C


def do_job(options: Options, inputs: Inputs, camera: int | None = None) -> Done:
    """Process inputs; tell on stderr what goes wrong with them, and write the JSON file.

    Args:
        options: The model and the outputs.
        inputs: Of `find_inputs`.
        camera: Its number; Ctrl-C is the usual end of a recording.

    Returns:
        What was done.
    """
    runner, interrupted = Runner(options), False
    if inputs.left_out:
        print(describe_left_out(inputs.left_out), file=sys.stderr)
    for problem in inputs.problems:
        runner.fail(problem)
    try:
        runner.run(inputs.images, inputs.videos if camera is None else [camera])
    except KeyboardInterrupt:
        interrupted = camera is None
    except Exception as error:
        runner.fail(error)
    finally:
        runner.write_json()
    status = _INTERRUPTED if interrupted else min(len(runner.failures), _MAX_STATUS)
    has_frames = camera is not None or bool(inputs.videos)
    return Done(runner, _summarise(runner, has_frames, interrupted), status)


def _summarise(runner: Runner, has_frames: bool, interrupted: bool) -> str:
    """Say in one sentence what was done."""
    parts = []
    if runner.num_images or not has_frames:
        parts.append(f"{how_many(runner.num_images, 'image')} done")
    if runner.num_frames and runner.seconds:
        rate = runner.num_frames / runner.seconds
        share = runner.model_seconds / runner.seconds
        frames = f"{how_many(runner.num_frames, 'frame')} in {runner.seconds:.1f} s"
        parts.append(f"{frames}: {rate:.1f} frames/s (model {share:.0%})")
    elif has_frames:
        parts.append(f"{how_many(runner.num_frames, 'frame')} done")
    if runner.failures:
        parts.append(f"{len(runner.failures)} failed")
    if interrupted:
        parts.append("stopped before the end")
    return ", ".join(parts) + "."


def describe_found(runner: Runner) -> list[str]:
    """Say what was found, by which model and from which score on; nothing where nothing was looked at."""
    if not runner.predictor or not (runner.num_images or runner.num_frames):
        return []
    objects, predictor, options = runner.objects, runner.predictor, runner.options
    told = [f"{count:,} {label}" for label, count in objects.most_common(_MOST_CLASSES)]
    if others := objects.most_common()[_MOST_CLASSES:]:
        number = sum(count for _, count in others)
        told.append(f"{number:,} of {how_many(len(others), 'other class')}")
    total = how_many(objects.total(), "object")
    return [
        " ".join(filter(None, ("model:", options.name, f"({', '.join(predictor.origin)})"))),
        predictor.tell_threshold(options.threshold),
        f"found: {total} ({', '.join(told)})" if told else f"found: {total}",
    ]


def list_outputs(runner: Runner) -> list[str]:
    """Say which files hold what was found."""
    records = [path for path in runner.written if path == runner.options.json]
    videos = [path for path in runner.written if is_video(path)]
    tracks = [path for path in runner.written if path == runner.options.mot]
    pictures = [path for path in runner.written if path not in (*records, *videos, *tracks)]
    folders = Counter(path.parent for path in pictures)
    return [
        *(f"{count} pictures in {folder}" for folder, count in folders.items() if count > 1),
        *(f"picture {path}" for path in pictures if folders[path.parent] == 1),
        *([f"{len(videos)} videos in {videos[0].parent}"] if len(videos) > _MOST_VIDEOS else ()),
        *(f"video {path}" for path in videos if len(videos) <= _MOST_VIDEOS),
        *(f"{how_many(len(runner.records), 'instance')} in {path}" for path in records),
        *(f"tracks, {how_many(len(runner.mot), 'line')} in {path}" for path in tracks),
    ]
