import cv2
import numpy as np
import pytest

from solo.cli.main import main

BATCHES, TARGETS = [], ["--targets"]
TOOLS = pytest.mark.parametrize("tool", [BATCHES, TARGETS], ids=["batches", "targets"])


def run(tool, config, output, *more):
    main(["data", "show", *tool, "--config-file", str(config), "--output", str(output), *more])
    return cv2.imread(str(output))


@TOOLS
def test_more_images_make_a_larger_sheet(tool, toy_config, tmp_path):
    small = run(tool, toy_config, tmp_path / "new" / "a.png", "--num-images", "1")
    large = run(tool, toy_config, tmp_path / "b.jpg", "--num-images", "3")
    assert large.size > 2 * small.size
    assert np.ptp(small, axis=2).max() > 100, "objects are in colour"


def test_an_iteration_is_the_same_whatever_is_shown_before(toy_config, tmp_path):
    # Batches of two: iteration 1 is the second row of images 3 and 4.
    later = run(BATCHES, toy_config, tmp_path / "a.png", "--num-images", "2", "--iteration", "1")
    again = run(BATCHES, toy_config, tmp_path / "b.png", "--num-images", "2", "--iteration", "1")
    first = run(BATCHES, toy_config, tmp_path / "c.png", "--num-images", "2")
    assert np.array_equal(later, again)
    assert later.shape != first.shape or not np.array_equal(later, first)


def test_targets_have_a_column_per_level_and_the_image(toy_config, tmp_path):
    three = run(TARGETS, toy_config, tmp_path / "a.png", "--num-images", "1")
    levels = "MODEL.SOLO.NUM_GRIDS [4] MODEL.SOLO.SCALE_RANGES [[1,99]] MODEL.SOLO.STRIDES [8]"
    features = ["MODEL.SOLO.IN_FEATURES", '["p3"]']
    one = run(
        TARGETS,
        toy_config,
        tmp_path / "b.png",
        "--num-images",
        "1",
        *levels.split(),
        *features,
    )
    assert three.shape[1] / one.shape[1] == pytest.approx(6 / 2, rel=0.05)


@TOOLS
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--config-file", "no.yaml"], "no.yaml does not exist"),
        (["--output", "sheet.xyz"], "ends in"),
        (["--num-images", "0"], "at least one"),
        (["DATASETS.TRAIN", "('no_such_set',)"], "no data set 'no_such_set'"),
    ],
)
def test_errors_are_one_sentence(tool, toy_config, tmp_path, more, words):
    with pytest.raises(SystemExit, match=words) as info:
        run(tool, toy_config, tmp_path / "a.png", *more)
    assert str(info.value).startswith("error: ") and "\n" not in str(info.value)


def test_there_is_no_iteration_before_the_first(toy_config, tmp_path):
    with pytest.raises(SystemExit, match="count from 0"):
        run(BATCHES, toy_config, tmp_path / "a.png", "--iteration", "-1")


@TOOLS
def test_pictures_that_cannot_be_written(tool, toy_config):
    with pytest.raises(SystemExit, match="cannot be written"):
        run(tool, toy_config, toy_config / "a.png")


@TOOLS
def test_no_objects(tool, empty_config, tmp_path):
    with pytest.raises(SystemExit, match="cannot be trained on"):
        run(tool, empty_config, tmp_path / "a.png")
