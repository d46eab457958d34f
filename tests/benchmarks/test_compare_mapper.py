import pytest
from compare_mapper import benchmark_data, main

from solo.config import get_cfg


def test_rows_compare_with_detectron2():
    rows = benchmark_data(get_cfg(), size=64, images=2, repeats=2)
    assert [row.name for row in rows][:3] == [
        "detectron2, polygons",
        "detectron2, bitmasks",
        "solo",
    ]
    assert len(rows) == 7
    for row in rows:
        assert row.images_per_second == pytest.approx(1000 / row.median_ms)
        assert row.ratio == pytest.approx(row.images_per_second / rows[0].images_per_second)
        assert row.p90_ms >= row.median_ms


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        benchmark_data(get_cfg(), size=64, images=0)


def test_the_command(capsys):
    arguments = ["--size", "64", "--images", "2", "--repeats", "2"]
    main([*arguments, "INPUT.COPY_PASTE.SOFT_EDGE", "0"])
    printed = capsys.readouterr().out
    assert "solo, mosaic" in printed and "Timed:" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["INPUT.NONSENSE", "1"], "NONSENSE"),
        (["INPUT.MIXUP.WEIGHT_RANGE", "[3,4]"], "WEIGHT_RANGE"),
    ],
)
def test_wrong_options_get_one_sentence(options, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        main(["--images", "2", "--repeats", "1", *options])
