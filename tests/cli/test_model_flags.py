"""Which model the flags name, and what is said where they name none."""

import argparse
import re
from pathlib import Path

import pytest

from solo.cli._model import add_model, chosen_model
from solo.cli._parser import MisuseError, build_parser
from solo.errors import UserError

NAME = "coco/solov2_R_50_FPN_1x"


def flags(*words: str) -> argparse.Namespace:
    parser = build_parser("solo predict", "What it does.\n\nexample: solo predict")
    add_model(parser)
    return parser.parse(words)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "output/cats").mkdir(parents=True)
    (tmp_path / "output/cats/config.yaml").touch()
    return tmp_path


@pytest.mark.parametrize("name", [NAME, f"{NAME}.yaml", f"solo://{NAME}"])
def test_a_published_name_has_weights(name: str) -> None:
    model = chosen_model(flags("--model", name))
    assert (model.config_file, model.weights) == (name, f"solo://{NAME}")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("output/nothere", "neither a model of the name output/nothere nor a folder"),
        (
            "output/cat",
            "neither a model of the name output/cat nor a folder; did you mean output/cats?",
        ),
        ("coco/solov2_R50_FPN_1x", f"nor a folder; did you mean {NAME} or"),
        (
            "coco/solo_R_101_FPN_3x",
            "No weights are published for solo://coco/solo_R_101_FPN_3x; there are",
        ),
        (
            "output/cats/config.yaml",
            "output/cats/config.yaml is a file: give a yaml file as --config",
        ),
    ],
)
def test_what_is_no_model_is_told_with_the_nearest(here: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        chosen_model(flags("--model", name))


def test_a_config_alone_is_told_of_the_published_weights() -> None:
    with pytest.raises(MisuseError, match=f"--weights FILE; --model {NAME} takes the published"):
        chosen_model(flags("--config", NAME))
    assert chosen_model(flags("--config", NAME), ["MODEL.WEIGHTS", "w.pth"]).config_file == NAME
    assert chosen_model(flags("--config", NAME, "--weights", "w.pth")).weights == "w.pth"


def test_the_folder_of_an_export_names_its_file(here: Path) -> None:
    (here / "exported").mkdir()
    (here / "exported/model.xml").touch()
    assert chosen_model(flags("--model", "exported")).onnx == "exported/model.xml"
    assert chosen_model(flags("--model", "exported/model.xml")).name == "model"
    (here / "exported/model.onnx").touch()
    sentence = "--model exported holds exported/model.onnx and exported/model.xml: name one of them"
    with pytest.raises(MisuseError, match=re.escape(sentence)):
        chosen_model(flags("--model", "exported"))
    (here / "exported/config.yaml").touch()  # the folder of a run that something was exported into
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        chosen_model(flags("--model", "exported"))


def test_an_openvino_file_takes_one_key(here: Path) -> None:
    amp = ["TEST.AMP.ENABLED", "True"]
    assert chosen_model(flags("--model", "a.xml"), amp).onnx == "a.xml"
    for flag, name, opts in (
        ("--model", "a.xml", [*amp, "SEED", "1"]),
        ("--model", "a.onnx", amp),
        ("--onnx", "a.onnx", amp),
    ):
        sentence = (
            f"{flag} {name} holds weights and config: leave out --weights, --device and KEY VALUE"
        )
        with pytest.raises(MisuseError, match=re.escape(sentence)):
            chosen_model(flags(flag, name), opts)
