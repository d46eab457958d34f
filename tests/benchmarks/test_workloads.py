import json

import cv2
import pytest
from made_up import Workload
from workloads import (
    VALUES,
    benchmark_inference,
    benchmark_post,
    benchmark_training,
    main,
    sweep,
)

from solo.benchmark.timing import Row
from tests.conftest import make_cfg
from tests.toys import registered, square, toy_cfg, write_config, write_records

TINY = Workload(size=(64, 64), original=(50, 70), images=2, objects=2, candidates=4)
SMALL = ["--size", "64x64", "--repeats", "1"]
NETWORK = {"preprocess", "backbone", "head"}
FINDING = {"candidates", "masks", "NMS", "resize", "RLE"}
TRAINING = NETWORK | {"targets", "losses", "backward", "optimizer"}


@pytest.fixture
def toy(tmp_path):
    """A data set of two images, and arguments for a tiny model."""
    with registered(write_records(tmp_path, [[square(4, 4, 6)], [square(9, 9, 20)]])) as name:
        yield name, ["--config-file", str(write_config(toy_cfg(name), tmp_path)), *SMALL]


@pytest.mark.parametrize(
    ("benchmark", "stages"),
    [
        (benchmark_inference, NETWORK | FINDING),
        (benchmark_post, FINDING),
        (benchmark_training, TRAINING),
    ],
)
def test_stages(benchmark, stages, variant):
    rows = benchmark(make_cfg(variant), TINY, repeats=1)
    assert {row.name for row in rows} == {*stages, "the rest", "all"}
    assert sum(row.median_ms for row in rows[:-1]) == pytest.approx(rows[-1].median_ms)


@pytest.mark.parametrize("parameter", VALUES)
def test_sweep_goes_through_the_values(parameter):
    seen = []

    def measure(workload):
        seen.append(workload)
        return Row("all", len(seen), 9.0, 7.0)

    rows = sweep(measure, TINY, parameter)
    assert [getattr(workload, parameter) for workload in seen] == list(VALUES[parameter])
    assert all(
        workload._replace(**{parameter: None}) == TINY._replace(**{parameter: None})
        for workload in seen
    )
    assert [row.median_ms for row in rows] == [1, 2, 3, 4, 5]
    values = [row.value for row in rows]
    assert values == sorted(values) and (parameter != "size" or values[0] == 256 * 352)


@pytest.mark.parametrize("verb", ["infer", "train"])
def test_images_of_a_data_set(verb, toy, capsys):
    name, arguments = toy
    main([verb, *arguments, "--dataset", name, "--num-images", "2"])
    printed = capsys.readouterr().out
    assert "load" in printed and "GFLOP/s in float32" in printed


def test_sweep_and_its_picture(toy, tmp_path, capsys):
    picture, table = tmp_path / "sweep.png", tmp_path / "rows.json"
    files = ["--plot", str(picture), "--json", str(table)]
    main(["post", *toy[1], "--original", "50x70", "--sweep", "size", *files])
    assert "peak, MB" in capsys.readouterr().out
    assert [row["value"] for row in json.loads(table.read_text())["rows"]][-1] == 800 * 1344
    assert cv2.imread(str(picture)).std() > 10


@pytest.mark.parametrize(
    "wrong", [["--repeats", "0"], ["--candidates", "1000000"], ["--size", "0x9"]]
)
def test_mistakes_end_in_a_sentence(wrong, toy):
    with pytest.raises(SystemExit, match=r"error: .*(give 1 or more|this head has room)"):
        main(["post", *toy[1], *wrong])
