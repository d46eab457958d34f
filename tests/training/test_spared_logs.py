"""What a full disk does to the log and to the metrics of a run."""

import json
import logging
import subprocess
import sys

import pytest
from detectron2.utils.events import EventStorage
from detectron2.utils.logger import setup_logger

from solo.training.spared_logs import spare_log_files
from solo.training.writers import build_writers

# As a run does it, but for the limit, which stands for the full disk.
LOGGING = """
import logging, resource, sys
from pathlib import Path
from detectron2.utils.logger import setup_logger
from solo.training.spared_logs import spare_log_files
for name in ("detectron2", "solo"):
    setup_logger(sys.argv[1], name=name)
spare_log_files(("detectron2", "solo"), Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(300):
    logging.getLogger("detectron2").info("line %d", number)
    logging.getLogger("solo.part").info("line %d", number)
"""


def test_metrics_go_on_where_there_is_room_again(tmp_path, caplog, file_size_limit):
    with EventStorage() as storage:
        # The first prints; TensorBoard's comes last, where it is installed.
        writers = build_writers(str(tmp_path), start_iter=0, max_iter=9)[1:]

        def write(iterations):
            for storage.iter in iterations:
                storage.put_scalar("total_loss", 1.0 + storage.iter)
                for writer in writers:
                    writer.write()

        write([0, 1])
        with file_size_limit(100):
            write([2, 3, 4])
        write([5])
        for writer in writers:
            writer.close()
    lines = (tmp_path / "metrics.json").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [0, 1, 5]
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(messages) == len(writers)
    assert messages[0].startswith(f"{tmp_path}/metrics.json cannot be written (File too large)")


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_log_that_is_full_is_one_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOGGING, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0
    # stderr has what Python itself tells of exceptions that nobody catches.
    assert "Error" not in done.stderr and "Traceback" not in done.stderr
    (warning,) = [line for line in done.stdout.splitlines() if "WARNING" in line]
    assert f"{tmp_path}/log.txt cannot be written (File too large)" in warning
    assert "line 299" in done.stdout
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert 5 < len(lines) < 40 and lines[0].endswith("line 0")


def test_both_loggers_go_on_with_one_file(tmp_path):
    names = ("spared.one", "spared.two")
    for name in names:
        setup_logger(str(tmp_path), name=name)
    for _ in range(2):
        spare_log_files(names, tmp_path)
    for name in names:
        logging.getLogger(name).info("said by %s", name)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == list(names)
