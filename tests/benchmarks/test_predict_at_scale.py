"""The benchmark of workers: a row that says that one was killed is not told of a run in which none was."""

import pytest

pytest.importorskip("pyarrow", reason="the extra `ray` is not installed")
predict_at_scale = pytest.importorskip("predict_at_scale")


def test_where_no_worker_was_killed_there_is_no_row(tmp_path):
    assert predict_at_scale.run(["--help"], tmp_path, kill=False) > 0
    with pytest.raises(SystemExit, match="No worker was killed"):
        predict_at_scale.run(["--help"], tmp_path, kill=True)
