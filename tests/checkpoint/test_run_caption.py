"""What a picture says of a run, from whatever is left of its files."""

import pytest

from solo.checkpoint.run_caption import run_caption
from solo.checkpoint.run_files import (
    Conditions,
    Outcome,
    RunStatus,
    end_run_record,
    write_run_record,
)

CONFIG = "DATASETS: {TEST: [%s]}\nSOLVER: {IMS_PER_BATCH: 4}\n"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "cats"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG % "val")
    trained = [{"name": "a", "images": 70, "classes": 2}, {"name": "b", "images": 30, "classes": 2}]
    write_run_record(folder, "configs/cats.yaml", 500, Conditions(data={"train": trained}))
    return folder


def test_a_run_that_ended(run):
    assert run_caption(run).title.startswith("cats, cats.yaml, started on 20")
    end_run_record(run, Outcome(status=RunStatus.FINISHED))
    (run / "model_best.pth").touch()
    caption = run_caption(run)
    assert caption.title.startswith("cats, cats.yaml, finished on 20")
    assert caption[1:] == (25, "segm/AP", "model_best.pth")


def test_the_metric_that_the_run_chose(run):
    (run / "config.yaml").write_text(f"{CONFIG % 'val'}TEST: {{BEST_METRIC: boundary/AP}}\n")
    assert run_caption(run).best_metric == "boundary/AP"


def test_epochs_of_a_config_for_another_number_of_workers(run):
    (run / "config.yaml").write_text(
        "DATASETS: {TEST: [val]}\nSOLVER: {IMS_PER_BATCH: 4, REFERENCE_WORLD_SIZE: 1}\n"
    )
    trained = [{"name": "a", "images": 80, "classes": 2}]
    write_run_record(run, "", 500, Conditions(data={"train": trained}, workers=2))
    assert run_caption(run).epoch == 10


def test_several_data_sets_and_unknown_numbers_of_images(run):
    (run / "config.yaml").write_text(CONFIG % "first, second")
    write_run_record(run, "", 500, Conditions(data={"train": [{"name": "a", "images": None}]}))
    assert run_caption(run)[1:] == (0, "first/segm/AP", "")


@pytest.mark.parametrize("text", ["", "[", "SOLVER: {}", "\x00"])
def test_broken_files_leave_the_name(run, text):
    (run / "config.yaml").write_text(text)
    assert run_caption(run) == ("cats", 0, "segm/AP", "")
    (run / "run.json").write_text(text)
    assert run_caption(run) == ("cats", 0, "segm/AP", "")
