"""Configs by name: from a clone, from a wheel, and as the base of a file of one's own."""

import shutil
from pathlib import Path

import pytest

from solo.config import get_cfg, names
from solo.config.merge import merge_file
from solo.config.names import config_names, config_path, named_config
from solo.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"
NAME = "coco/solov2_R_50_FPN_3x"


@pytest.mark.parametrize("name", [NAME, f"{NAME}.yaml", f"solo://{NAME}", f"solo://{NAME}.yaml"])
def test_a_name_has_many_spellings(name: str) -> None:
    assert config_path(name) == named_config(name) == CONFIGS / f"{NAME}.yaml"


def test_every_file_has_a_name() -> None:
    assert config_names() == sorted(
        path.relative_to(CONFIGS).as_posix().removesuffix(".yaml")
        for path in CONFIGS.rglob("*.yaml")
    )


def test_a_file_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("coco").mkdir()
    Path(f"{NAME}.yaml").touch()
    assert config_path(f"{NAME}.yaml") == Path(f"{NAME}.yaml")
    assert config_path(NAME) == CONFIGS / f"{NAME}.yaml"
    assert config_path(Path("coco") / ".." / f"{NAME}.yaml").samefile(f"{NAME}.yaml")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("solov2_R_50_FPN_3x", rf"did you mean {NAME}\?$"),
        ("solov2_r_50_fpn_3x.yaml", rf"did you mean .*{NAME}"),
        ("coco/solov2_R_50_FPN_2x", rf"did you mean .*{NAME}"),
        ("coco/sollov2_R_50_FPN_3x.yml", rf"did you mean .*{NAME}"),
        (
            "solov2_digit",
            r"did you mean quickstart/solov2_digits or .*digits\?$",
        ),
        ("yolact", rf"Choose one of: .*{NAME}, .*quickstart/yolox_nano_digits, .*, voc/.*\.$"),
        ("", r"Choose one of: "),
    ],
)
def test_a_mistyped_name_says_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(
        UserError, match=rf"^There is no config '{name}' that comes with solo.*{meant}"
    ):
        named_config(name)
    with pytest.raises(
        FileNotFoundError, match=rf"^The config file {name} does not exist.*{meant}"
    ):
        config_path(name)


@pytest.mark.parametrize(
    "name", ["../setup", "../../etc/passwd", "/etc/passwd", "coco/../../README", "coco/../../setup"]
)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    for spelling in (name, f"solo://{name}", f"solo://{name}.yaml"):
        with pytest.raises(UserError, match="no config"):
            named_config(spelling)
    with pytest.raises(FileNotFoundError):
        merge_file(get_cfg(), f"solo://{name}")


def test_a_folder_beside_it_is_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_config_root", lambda: tmp_path / "configs")
    (tmp_path / "configs").mkdir()
    (tmp_path / "secret.yaml").touch()
    with pytest.raises(UserError, match="no config"):
        named_config("../secret")


def test_installed_configs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a wheel the configs lie in the package; in a clone, at the top."""
    package = tmp_path / "site-packages" / "solo"
    shutil.copytree(CONFIGS, package / "configs")
    monkeypatch.setattr(names, "__file__", str(package / "config" / "names.py"))
    assert named_config("Base-SOLO.yaml").parent == package / "configs"
    cfg = get_cfg()
    merge_file(cfg, NAME)
    assert cfg.SOLVER.MAX_ITER == 270_000


@pytest.mark.parametrize("base", [f"solo://{NAME}", f"solo://{NAME}.yaml"])
def test_a_file_of_ones_own_is_based_on_a_name(tmp_path: Path, base: str) -> None:
    (tmp_path / "base.yaml").write_text(
        f"_BASE_: '{base}'\nSEED: 5\nSOLVER: {{IMS_PER_BATCH: 2}}\n"
    )
    (tmp_path / "mine.yaml").write_text("_BASE_: base.yaml\nSOLVER: {BASE_LR: 0.5}\n")
    mine, theirs = get_cfg(), get_cfg()
    merge_file(mine, tmp_path / "mine.yaml")
    merge_file(theirs, CONFIGS / f"{NAME}.yaml")
    assert (mine.SEED, mine.SOLVER.IMS_PER_BATCH, mine.SOLVER.BASE_LR) == (5, 2, 0.5)
    theirs.SEED, theirs.SOLVER.IMS_PER_BATCH, theirs.SOLVER.BASE_LR = 5, 2, 0.5
    assert mine == theirs


def test_a_base_that_there_is_not_is_told_with_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("_BASE_: solo://coco/solov2_R_50_FPN\n")
    with pytest.raises(
        UserError, match=r"no config 'solo://coco/solov2_R_50_FPN'.*did you mean coco"
    ):
        merge_file(get_cfg(), path)
    path.write_text("_BASE_: solo://../../secret.yaml\n")
    with pytest.raises(UserError, match=r"no config 'solo://\.\./"):
        merge_file(get_cfg(), path)


def test_keys_of_the_first_version_of_detectron2_are_brought_up_to_date(tmp_path: Path) -> None:
    path, cfg = tmp_path / "old.yaml", get_cfg()
    path.write_text("MODEL: {WEIGHT: a.pth}\n")
    merge_file(cfg, path)
    assert cfg.MODEL.WEIGHTS == "a.pth"
