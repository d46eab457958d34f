import json

import pytest

from solo.cli.main import main
from solo.config import get_cfg

TINY = ["--size", "64x64", "--repeats", "2"]


@pytest.mark.parametrize("verb", ["infer", "train"])
def test_verbs_that_run_a_model(verb, toy_config, tmp_path, capsys):
    path = tmp_path / "rows.json"
    main(
        [
            "benchmark",
            verb,
            "--config-file",
            str(toy_config),
            *TINY,
            "--json",
            str(path),
            "--threads",
            "1",
        ]
    )
    printed = capsys.readouterr().out
    assert "median, ms" in printed and "Timed:" in printed
    document = json.loads(path.read_text())
    assert document["rows"][-1]["name"] == "all" and document["rows"][-1]["median_ms"] > 0
    assert document["threads"] == 1 and document["date"] and document["timed"] in printed


@pytest.mark.parametrize("verb", ["infer", "train"])
def test_images_of_a_data_set(verb, toy_config, capsys):
    cfg = get_cfg()
    cfg.merge_from_file(str(toy_config))
    arguments = [
        "--config-file",
        str(toy_config),
        "--dataset",
        cfg.DATASETS.TRAIN[0],
        "--num-images",
        "2",
    ]
    main(["benchmark", verb, *arguments])
    assert "load" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cpu", "INPUT.NONSENSE", "1"], "INPUT.NONSENSE"),
        (["cpu", "--threads", "0"], "--threads 0"),
        (["infer", "--config-file", "nonsense.yaml"], "nonsense.yaml does not exist"),
    ],
)
def test_wrong_arguments_get_one_sentence(arguments, message):
    with pytest.raises(SystemExit, match="error: ") as info:
        main(["benchmark", *arguments])
    assert message in str(info.value) and "\n" not in str(info.value)


def test_wrong_arguments_of_a_model(toy_config):
    for wrong in (["--repeats", "0"], ["--size", "0x64"], ["--weights", "nothing.pth"]):
        with pytest.raises(SystemExit, match="error: "):
            main(["benchmark", "infer", "--config-file", str(toy_config), *TINY, *wrong])
    with pytest.raises(SystemExit, match="There is no data set 'nothing'"):
        main(
            ["benchmark", "infer", "--config-file", str(toy_config), *TINY, "--dataset", "nothing"]
        )


def test_sizes_are_read(capsys):
    with pytest.raises(SystemExit):
        main(["benchmark", "infer", "--config-file", "x", "--size", "64"])
    assert "give HEIGHTxWIDTH" in capsys.readouterr().err
