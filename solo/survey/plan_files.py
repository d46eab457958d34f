"""Where in OUTPUT_DIR a plan lies, with the data that it writes: beside what a run there goes by, not over it."""

import itertools
from pathlib import Path

from solo.checkpoint import run_files
from solo.errors import UserError

PLAN = "plan.yaml"


def present_plan(folder: Path) -> Path | None:
    """Return the plan that the run in a folder goes by, or would, had it come to a checkpoint.

    Returns:
        None: Nothing lies there to go on with.

    Raises:
        OSError: What the run says of itself cannot be read.
        UserError: The run is of another config.
    """
    record = run_files.read_run_record(folder)
    file = folder / (Path(record.last.config_file).name if record else PLAN)
    if file.is_file():
        return file
    if run_files.checkpoints(folder):
        raise UserError(
            f"{folder} holds a run, but not the plan that it goes by: go on with it by "
            f"`solo train --config {folder / run_files.CONFIG} --resume`."
        )
    return None


def free_place(folder: Path) -> tuple[Path, Path]:
    """Return where to write a plan, and the folder for its data.

    What a run goes by is not written over, nor what the run before needs: that one may be resumed, too.
    """
    needed = (folder / run_files.RUN, folder / run_files.PREVIOUS_RUN)
    is_free = not run_files.checkpoints(folder) and not any(path.exists() for path in needed)
    names = itertools.chain([PLAN], (f"plan-{number}.yaml" for number in itertools.count(2)))
    files = (folder / name for name in names)
    places = ((file, file.with_name(f"{file.stem}_data")) for file in files)
    return next(place for place in places if is_free or not any(path.exists() for path in place))
