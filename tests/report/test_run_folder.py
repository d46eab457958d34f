"""Which checkpoint of a run is looked at."""

import os

import pytest

from solo.report.run_folder import open_run


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


@pytest.fixture
def trained_anew(tmp_path):
    """A folder where an older version was started anew after a run, and has written no checkpoint."""
    (tmp_path / "config.yaml").write_text("VERSION: 2\n")
    (tmp_path / "model_final.pth").touch()
    (tmp_path / "last_checkpoint.previous").write_text("model_final.pth")
    return tmp_path


def test_an_earlier_run_in_the_folder(trained_anew):
    with pytest.raises(
        FileNotFoundError, match=r"earlier run only \(model_final\.pth\).*--weights"
    ):
        open_run(trained_anew)
    older = trained_anew / "model_final.pth"
    assert open_run(trained_anew, older).weights == older
    for name in ("model_0000099.pth", "model_final.pth"):
        (trained_anew / name).touch()
        (trained_anew / "last_checkpoint").write_text(name)
        assert open_run(trained_anew).weights == trained_anew / name


def test_a_folder_that_an_older_version_trained_anew(tmp_path):
    (tmp_path / "config.yaml").write_text("VERSION: 2\n")
    for age, name in enumerate(["model_0000099.pth", "model_final.pth"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / "last_checkpoint").write_text("model_0000099.pth")
    assert open_run(tmp_path).weights == tmp_path / "model_0000099.pth"
    (tmp_path / "last_checkpoint").unlink()
    (tmp_path / "metrics.previous.json").touch()
    with pytest.raises(FileNotFoundError, match="an earlier run only"):
        open_run(tmp_path)
