"""Files and options: what is wrong with them is said in one sentence."""

from pathlib import Path

import pytest

from solo.config import get_cfg
from solo.config.merge import merge_file, merge_options


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
