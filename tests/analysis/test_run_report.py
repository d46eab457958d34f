"""Which checkpoint of a run is looked at."""

import pytest

from solo.analysis.run_report import open_run


@pytest.mark.parametrize("final", [True, False])
def test_the_checkpoint_of_a_run(tmp_path, final):
    (tmp_path / "config.yaml").write_text("VERSION: 2\n")
    (tmp_path / "last_checkpoint").write_text("model_0000099.pth")
    for name in ["model_0000099.pth", *["model_final.pth"] * final]:
        (tmp_path / name).touch()
    expected = "model_final.pth" if final else "model_0000099.pth"
    assert open_run(tmp_path).weights == tmp_path / expected
    other = tmp_path / "model_0000099.pth"
    assert open_run(tmp_path, other).weights == other
