import pytest

from solo.config import get_cfg
from solo.tools.benchmark_data import benchmark_data, main


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


def test_command(capsys):
    main(["--size", "64", "--images", "2", "--repeats", "2", "INPUT.COPY_PASTE.SOFT_EDGE", "0"])
    printed = capsys.readouterr().out
    assert "solo, mosaic" in printed and "Timed:" in printed


@pytest.mark.parametrize("opts", [["INPUT.NONSENSE", "1"], ["INPUT.MIXUP.WEIGHT_RANGE", "[3,4]"]])
def test_wrong_keys_are_named(opts):
    with pytest.raises(SystemExit, match=opts[0]):
        main(["--images", "2", "--repeats", "1", *opts])
