"""The wheel alone: what it holds, and the command from an empty folder, with and without detectron2."""

import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

from solo.cli.main import GROUPS, VERBS
from solo.environment.extras import DISTRIBUTION, EXTRAS
from tests.documented_commands import DOCUMENTS, PARSED, ROOT, RUN, lines_of, words_of
from tests.toy_folder import write_toys
from tests.wheel_environment import WheelEnvironment, build_wheel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the environment is laid for POSIX"),
]

SOURCES = ("solo", "configs", "setup.py", "pyproject.toml", "README.md", "LICENSE")
UNSEEN = shutil.ignore_patterns("__pycache__", "*.egg-info")
NO_DETECTRON2 = "No module named 'detectron2'): run `solo setup`"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=UNSEEN)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(sources, tmp_path_factory):
    return build_wheel(sources, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    return WheelEnvironment(tmp_path_factory.mktemp("with") / "venv", wheel)


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    return WheelEnvironment(tmp_path_factory.mktemp("bare") / "venv", wheel, ("detectron2",))


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    write_toys(folder)
    return folder


def test_it_holds_all_files_of_the_package(wheel, sources):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path.relative_to(sources) for path in sources.rglob("*") if path.is_file()]
    package = {path.as_posix() for path in files if path.parts[0] == "solo"}
    configs = {
        f"solo/{path.as_posix()}"
        for path in files
        if path.parts[0] == "configs" and path.suffix == ".yaml"
    }
    assert held == package | configs
    assert {"solo/py.typed", "solo/report/page.html", "solo/configs/Base-SOLOv2.yaml"} <= held


def test_the_source_archive_gives_the_same_wheel(wheel, sources, tmp_path):
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=sources, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path)
    again = build_wheel(next(tmp_path.glob("solo*/")), tmp_path)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


def test_extras_of_the_metadata_are_those_that_setup_tells(environment):
    (site,) = environment.bin.parent.glob("lib/python*/site-packages")
    (found,) = metadata.distributions(name=DISTRIBUTION, path=[str(site)])
    told = set(found.metadata.get_all("Provides-Extra"))
    assert told == {*EXTRAS, "all", "dev", "docs", "interop", "parity"}
    (opencv,) = [need for need in found.requires if need.startswith("opencv")]
    assert opencv.startswith("opencv-python>=")


def test_the_command_and_the_module_are_one(environment, tmp_path):
    text = environment.call("--help", program="solo", cwd=tmp_path)
    assert text == environment.call("-m", "solo", "--help", cwd=tmp_path)
    assert all(f"  {verb} " in text for verb in VERBS)
    assert not list(tmp_path.iterdir())


def test_python_finds_the_wheel_and_its_configs(environment, tmp_path):
    code = (
        "import solo; print(solo.__file__)\n"
        "from solo import model_zoo\n"
        "print(model_zoo.get_config_file('coco/solov2_R_50_FPN_3x.yaml'))\n"
        "print(model_zoo.get_config('coco/solov2_R_50_FPN_3x').MODEL.META_ARCHITECTURE)"
    )
    package, config, architecture = environment.call("-c", code, cwd=tmp_path).splitlines()
    assert str(environment.bin.parent) in package and str(environment.bin.parent) in config
    assert architecture == "SOLOv2"


def test_documented_lines_run(environment, toys):
    commands = [words_of(f"{line} {more}", toys) for line, more in RUN.items()]
    for line, ended in zip(RUN, environment.solo(commands, toys), strict=True):
        assert ended.status == 0, f"{line}\n{ended.text}"
    for name in ("predictions/photo.jpg", "drawn/a.jpg", "out.mp4", "exported/model.onnx"):
        assert (toys / name).is_file()


def test_documented_lines_are_understood(environment, toys):
    lines = sorted({line for path in DOCUMENTS for line in lines_of(path)} | {*PARSED, *RUN})
    commands = map(words_of, lines)
    for line, ended in zip(
        lines, environment.solo(list(commands), toys, mode="parse"), strict=True
    ):
        assert ended.status == 0, f"{line}\n{ended.text}"


def test_each_line_of_the_readme_is_run_or_has_a_reason_not_to_be():
    lines = set(lines_of(ROOT / "README.md"))
    assert not lines - {*RUN, *PARSED}, "add these to tests/documented_commands.py"


def verbs():
    """Return the words of each verb, and of each verb of a verb."""
    return [
        [verb, *more] for verb in VERBS for more in ([], *([name] for name in GROUPS.get(verb, ())))
    ]


def test_without_detectron2_help_helps_and_its_example_says_solo_setup(bare, tmp_path):
    asked = [[*words, "--help"] for words in verbs()]
    examples = []
    for words, ended in zip(asked, bare.solo(asked, tmp_path), strict=True):
        assert ended.status == 0, f"{words}\n{ended.text}"
        _, found, example = ended.text.replace("\\\n", " ").rpartition("\nexample: ")
        assert found and example.startswith(f"solo {words[0]}"), ended.text
        examples.append(words_of(example.splitlines()[0]))
    examples.remove(["setup"])
    for words, ended in zip(examples, bare.solo(examples, tmp_path), strict=True):
        assert (ended.status, ended.text.count("\n")) == (1, 1), f"{words}\n{ended.text}"
        assert ended.text.startswith("error: ") and NO_DETECTRON2 in ended.text
    assert not list(tmp_path.iterdir())


def test_without_detectron2_setup_looks(bare, tmp_path):
    (ended,) = bare.solo([["setup", "--check"]], tmp_path)
    assert ended.status == 1
    assert "detectron2   NO: not installed: `solo setup` brings it" in ended.text
    assert "solo cannot run yet" in ended.text and "Traceback" not in ended.text


def test_without_detectron2_the_import_says_what_to_do(bare, tmp_path):
    done = bare.start(["-c", "import solo"], "python", tmp_path)
    assert done.returncode == 1
    assert NO_DETECTRON2 in done.stderr.splitlines()[-1]
