import pytest

from solo.benchmark import cpu_choices as benchmark
from solo.cli.main import main
from solo.config import get_cfg


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(benchmark, "_SIZE", (64, 96))
    monkeypatch.setattr(benchmark, "_CHANNELS", 8)


def cpu_config(**keys):
    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    for key, value in keys.items():
        cfg.MODEL.CPU[key] = value
    return cfg


def test_every_work_has_one_way_that_is_chosen(small):
    rows = benchmark.benchmark_cpu(cpu_config(), repeats=1)
    assert len({row.work for row in rows}) == 5
    for work in {row.work for row in rows}:
        chosen = [row for row in rows if row.work == work and row.chosen]
        assert len(chosen) == 1 and chosen[0].times == 1
        assert all(row.median_ms > 0 for row in rows)


def test_a_key_that_forces_is_the_choice(small):
    cfg = cpu_config(INTERSECTIONS="float32", PRODUCTS="blas", BFLOAT16="off")
    chosen = {row.way for row in benchmark.benchmark_cpu(cfg, repeats=1) if row.chosen}
    assert {"float32", "blas"} <= chosen and not {"bfloat16", "bytes", "onednn"} & chosen


def test_the_command_prints_what_there_is(small, capsys):
    main(["benchmark", "cpu", "--repeats", "1", "MODEL.CPU.INTERSECTIONS", "float32"])
    printed = capsys.readouterr().out
    assert "Features: " in printed and "pixels that 100 masks share" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0"], "give 1 or more"),
        (["MODEL.CPU.PRODUCTS", "mkl"], "'mkl'; use one of auto, onednn, blas"),
    ],
)
def test_mistakes_are_named(small, arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(["benchmark", "cpu", *arguments])
