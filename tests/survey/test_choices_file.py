import yaml

from solo.config import get_cfg
from solo.config.merge import merge_file
from solo.survey.choices_file import Draft


def made():
    draft = Draft(get_cfg(), ["SOLVER.IMS_PER_BATCH", "3", "INPUT.MIN_SIZE_TRAIN", "(96, 128)"])
    draft.choose("small batch: one CPU", SOLVER__IMS_PER_BATCH=4)
    draft.choose("rates", SOLVER__BASE_LR=1e-5, MODEL__SOLO__SIGMA=0.4)
    draft.choose("a remark: it sets nothing")
    draft.choose("", MODEL__WEIGHTS="", SOLVER__STEPS=(7, 9))
    draft.choose("data", DATASETS__FILES=[["größe", "coco", "a: #b.json", "c d"]])
    return draft


def test_what_is_written_is_what_was_chosen(tmp_path):
    draft = made()
    text = draft.as_yaml("At its head.", str(tmp_path / "base.yaml"))
    (tmp_path / "base.yaml").write_text("VERSION: 2\n")
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    cfg = get_cfg()
    merge_file(cfg, tmp_path / "plan.yaml")
    assert cfg == draft.cfg
    assert cfg.SOLVER.IMS_PER_BATCH == 3 and tuple(cfg.INPUT.MIN_SIZE_TRAIN) == (96, 128)
    # Only what was chosen or given.
    assert yaml.safe_load(text).keys() == {"_BASE_", "SOLVER", "MODEL", "DATASETS", "INPUT"}


def test_each_reason_is_a_comment_once_before_its_first_setting():
    lines = made().as_yaml("At its head.", "base.yaml").splitlines()
    assert lines[:3] == ["# At its head.", "# a remark: it sets nothing", "_BASE_: base.yaml"]
    assert lines[lines.index("  # rates") + 1] == "  BASE_LR: 1.0e-05"
    assert sum("rates" in line for line in lines) == 1
    assert "  # as given" in lines


def test_names_of_others_end_no_comment():
    draft = Draft(get_cfg())
    for mark in "\n\r\x0b\x1b\x85\u2028\u2029":
        draft.choose(f"classes: cat{mark}SEED: 7")
        draft.choose(f"rates of cat{mark}BASE_LR: 7", SOLVER__BASE_LR=0.1)
    text = draft.as_yaml("Of a\u2028VERSION: 1", "base.yaml")
    assert yaml.safe_load(text) == {"_BASE_": "base.yaml", "SOLVER": {"BASE_LR": 0.1}}
    assert all(letter.isprintable() for line in text.split("\n") for letter in line)


def test_what_the_user_gives_stands_and_needs_no_reason():
    draft = made()
    assert draft.cfg.SOLVER.IMS_PER_BATCH == 3
    assert draft.base.SOLVER.IMS_PER_BATCH == 16
    assert "small batch: one CPU" not in [choice.reason for choice in draft.choices]
