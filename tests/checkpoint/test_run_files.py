"""What run.json says of a run."""

import datetime
import sys

import pytest

from solo.checkpoint.run_files import RUN, read_run_record, write_run_record
from solo.errors import UserError


def test_the_command_of_a_run_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_net.py", "--config-file", "my configs/a.yaml"])
    before = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=1)
    write_run_record(tmp_path, "my configs/a.yaml", 90)
    record = read_run_record(tmp_path)
    assert record.config_file == "my configs/a.yaml" and record.iterations == 90
    assert record.command == "train_net.py --config-file 'my configs/a.yaml'"
    started = datetime.datetime.fromisoformat(record.started)
    assert before <= started <= datetime.datetime.now().astimezone()


def test_runs_of_older_versions_have_none(tmp_path):
    assert read_run_record(tmp_path) is None


@pytest.mark.parametrize("text", ["{", '{"config_file": "a.yaml"}'])
def test_what_training_did_not_write_is_told(tmp_path, text):
    (tmp_path / RUN).write_text(text)
    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        read_run_record(tmp_path)
