import cv2
import pytest
import yaml

from solo.cli.main import main
from tests.toys import registered, square, write_records


def test_writes_numbers_a_picture_and_text(toy_config, tmp_path, capsys):
    folder = tmp_path / "new" / "analysis"
    main(["data", "survey", "--config-file", str(toy_config), "--output", str(folder)])
    assert cv2.imread(str(folder / "analysis.png")) is not None
    numbers = yaml.safe_load((folder / "analysis.yaml").read_text())
    assert numbers["objects"] == 8
    text = capsys.readouterr().out
    assert "present settings:" in text and "NUM_GRIDS: [" in text
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 110


def test_another_data_set_and_options(toy_config, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    with registered(write_records(tmp_path / "other", [[square(1, 1, 9)]])) as name:
        arguments = ["--config-file", str(toy_config), "--dataset", name]
        ranges = ["MODEL.SOLO.SCALE_RANGES", "[[70,80],[70,80],[70,80],[70,80],[70,80]]"]
        main(["data", "survey", *arguments, "--output", str(tmp_path), *ranges])
    assert f"{name}: 1 of 1 images, 1 objects" in (text := capsys.readouterr().out)
    assert "0.0% of the objects get a cell; 100.0% fit no level" in text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--config-file", "no.yaml"], "no.yaml does not exist"),
        (["--dataset", "no_such_set"], "no data set 'no_such_set'"),
        (["--num-images", "0"], "at least one"),
        (["NO_SUCH_KEY", "1"], "NO_SUCH_KEY"),
    ],
)
def test_errors_are_one_sentence(toy_config, tmp_path, more, words):
    arguments = ["--config-file", str(toy_config), "--output", str(tmp_path), *more]
    with pytest.raises(SystemExit, match=words) as info:
        main(["data", "survey", *arguments])
    assert str(info.value).startswith("error: ") and "\n" not in str(info.value)


def test_a_folder_that_cannot_be_written(toy_config):
    with pytest.raises(SystemExit, match="cannot be written"):
        main(["data", "survey", "--config-file", str(toy_config), "--output", str(toy_config)])


def test_no_objects(empty_config, tmp_path):
    with pytest.raises(SystemExit, match="cannot be trained on"):
        main(["data", "survey", "--config-file", str(empty_config), "--output", str(tmp_path)])
