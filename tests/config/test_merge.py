"""Files and options: what is wrong with them is said in one sentence."""

from pathlib import Path

import pytest

from solo.config import get_cfg
from solo.config.merge import merge_file, merge_options
from solo.errors import UserError


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("MODEL.SOLO.NUM_GRID", "MODEL.SOLO.NUM_GRIDS"),
        ("SOLVER.NUM_GRIDS", "MODEL.SOLO.NUM_GRIDS"),
        ("MODEL.SOLO.TEST.NMS_KERNAL", "MODEL.SOLO.TEST.NMS_KERNEL"),
    ],
)
@pytest.mark.parametrize("place", ["file", "command line"])
def test_an_unknown_key_is_named_with_the_nearest(
    tmp_path: Path, key: str, meant: str, place: str
) -> None:
    path = tmp_path / "config.yaml"
    *parents, leaf = key.split(".")
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(parents)]
    path.write_text("\n".join([*lines, f"{'  ' * len(parents)}{leaf}: 1"]))
    with pytest.raises(ValueError, match=place) as caught:
        if place == "file":
            merge_file(get_cfg(), path)
        else:
            merge_options(get_cfg(), [key, "1"])
    assert f"there is no key {key}; did you mean {meant}" in str(caught.value)


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["SOLVER.MAX_ITER"], "'SOLVER.MAX_ITER' is alone"),
        (["SOLVER.MAX_ITER", "many"], r"SOLVER\.MAX_ITER"),
    ],
)
def test_wrong_options_are_named(opts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_options(get_cfg(), opts)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml does not exist"):
        merge_file(get_cfg(), tmp_path / "nowhere.yaml")
    path = tmp_path / "config.yaml"
    path.write_text("SOLVER: [")
    with pytest.raises(ValueError, match=r"config\.yaml is not plain yaml"):
        merge_file(get_cfg(), path)
    path.write_text("_BASE_: nowhere.yaml\n")
    with pytest.raises((ValueError, OSError), match=r"nowhere\.yaml"):
        merge_file(get_cfg(), path)
    path.write_text("SOLVER:\n  MAX_ITER: many\n")
    with pytest.raises(ValueError, match=r"config\.yaml.*SOLVER\.MAX_ITER"):
        merge_file(get_cfg(), path)


def test_a_config_file_runs_no_code(tmp_path: Path) -> None:
    trace, path = tmp_path / "trace", tmp_path / "config.yaml"
    path.write_text(f"OUTPUT_DIR: !!python/object/apply:os.system ['touch {trace}']\n")
    with pytest.raises(ValueError, match="not plain yaml"):
        merge_file(get_cfg(), path)
    assert not trace.exists()


def test_a_file_that_is_based_on_itself_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("_BASE_: [./other.yaml]\n")
    other.write_text(f"_BASE_: {one}\n")
    with pytest.raises(UserError, match=r"one\.yaml is based on itself"):
        merge_file(get_cfg(), one)
    # Twice on the same file is no circle.
    third = tmp_path / "third.yaml"
    third.write_text("_BASE_: [base.yaml, base.yaml]\n")
    (tmp_path / "base.yaml").write_text("SEED: 3\n")
    merge_file(cfg := get_cfg(), third)
    assert cfg.SEED == 3


def test_aliases_of_aliases_are_refused_before_they_are_built(tmp_path: Path) -> None:
    lines = ["n0: &n0 {a: 1}"]
    for level in range(1, 7):
        copies = ", ".join(f"k{number}: *n{level - 1}" for number in range(9))
        lines.append(f"n{level}: &n{level} {{{copies}}}")
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    (tmp_path / "config.yaml").write_text("_BASE_: bomb.yaml\n")
    with pytest.raises(UserError, match=r"bomb\.yaml stands for more than 100,000 values"):
        merge_file(get_cfg(), tmp_path / "config.yaml")
    path.write_text("SOLVER: &a {STEPS: *a}\n")
    with pytest.raises(UserError, match="more than 100,000 values"):
        merge_file(get_cfg(), path)
    # An alias or two are as good as what they stand for.
    path.write_text("INPUT:\n  MIN_SIZE_TRAIN: &a [96]\n  MIN_SIZE_TEST: 96\nSOLVER: {STEPS: *a}\n")
    merge_file(cfg := get_cfg(), path)
    assert cfg.SOLVER.STEPS == (96,)


@pytest.mark.parametrize(
    "text",
    [
        "INPUT: " + "[" * 5000 + "]" * 5000,
        "_BASE_: .\n",
        "SOLVER: {MAX_ITER: 1\n - x",
        "INPUT: [1]",
        "- 1",
        "\t",
        "a: \0",
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises((UserError, OSError), match=r"config\.yaml") as caught:
        merge_file(get_cfg(), path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_whole_number_may_stand_for_a_float(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("SOLVER:\n  BASE_LR: 1\n  WARMUP_FACTOR: 0\n")
    cfg = get_cfg()
    merge_file(cfg, path)
    merge_options(cfg, ["SOLVER.WARMUP_FACTOR", "-2", "SOLVER.MAX_ITER", "7"])
    values = (cfg.SOLVER.BASE_LR, cfg.SOLVER.WARMUP_FACTOR, cfg.SOLVER.MAX_ITER)
    assert values == (1.0, -2.0, 7)
    assert list(map(type, values)) == [float, float, int]
    with pytest.raises(UserError, match=r"SOLVER\.MAX_ITER"):
        merge_options(cfg, ["SOLVER.MAX_ITER", "7.0"])
