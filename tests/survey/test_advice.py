"""The verdict in words: that a config fits, or what to change."""

import pytest

from solo.survey.advice import advice
from solo.survey.analysis import analyze_dataset, with_settings
from solo.survey.summary import numbers, summary


def flat(lines):
    return " ".join(line.strip() for line in lines)


def test_a_config_that_does_not_fit_is_told_what_to_change(cfg):
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 8], [7, 10], [9, 12], [11, 14], [13, 20]]
    analysis = analyze_dataset(cfg, 100)
    lines = advice(analysis)
    assert len(lines) <= 6 and max(map(len, lines)) <= 110
    words = flat(lines)
    without = f"{analysis.present.without_cell:.0%}"
    assert words.startswith("Your config does not fit: ")
    assert f"{without} of the objects would have no cell" in words
    # The smallest objects have 6 pixels in half of the images.
    assert "16 are wanted" in words
    node = analysis.proposed_cfg
    assert f"MODEL.SOLO.SCALE_RANGES {node.MODEL.SOLO.SCALE_RANGES}" in words
    assert f"INPUT.MIN_SIZE_TRAIN {list(node.INPUT.MIN_SIZE_TRAIN)}" in words
    assert summary(analysis).startswith("\n".join(lines))
    assert numbers(analysis)["verdict"] == words


def test_what_was_changed_as_told_fits(cfg):
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 8], [7, 10], [9, 12], [11, 14], [13, 20]]
    settings = analyze_dataset(cfg, 100).settings
    # Images grow twice at most; the objects of six pixels would ask for more.
    settings["INPUT"]["MIN_SIZE_TRAIN"] = [256]
    settings["INPUT"]["MAX_SIZE_TRAIN"] = 512
    settings["MODEL"]["SOLO"]["SCALE_RANGES"][-1][1] = 1024
    lines = advice(analyze_dataset(with_settings(cfg, settings), 100))
    assert lines[0].startswith("Your config fits: 100.0% of the objects get a cell")
    assert "Change" not in flat(lines)


@pytest.mark.parametrize("key", ["NUM_GRIDS", "SCALE_RANGES"])
def test_only_what_changes_is_named(cfg, key):
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 8], [7, 10], [9, 12], [11, 14], [13, 20]]
    analysis = analyze_dataset(cfg, 100)
    proposed = analysis.settings["MODEL"]["SOLO"][key]
    setattr(analysis.cfg.MODEL.SOLO, key, proposed)
    assert f"MODEL.SOLO.{key}" not in flat(advice(analysis))
