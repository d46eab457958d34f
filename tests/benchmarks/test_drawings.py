import cv2
import pytest
from drawings import plot_comparison, plot_sweep


def test_sweep_with_and_without_memory(tmp_path):
    rows = [
        {"parameter": "objects", "value": n, "median_ms": n, "p90_ms": 2 * n, "peak_mb": 3.0 * n}
        for n in (5, 20, 80)
    ]
    plot_sweep(rows, tmp_path / "with.png")
    plot_sweep([{**row, "peak_mb": None} for row in rows], tmp_path / "without.png")
    pictures = [cv2.imread(str(tmp_path / name)) for name in ("with.png", "without.png")]
    assert all(picture.std() > 10 for picture in pictures)
    assert (pictures[0] != pictures[1]).any()


def test_comparison_has_a_bar_per_row(tmp_path):
    row = {"name": "a", "speedup": 3.0, "lowest": 2.5, "highest": 2.9, "memory_share": 0.5}
    rows = [row, {**row, "name": "b", "memory_share": None}]
    plot_comparison(rows, tmp_path / "two.png")
    plot_comparison(rows * 4, tmp_path / "eight.png")
    heights = [cv2.imread(str(tmp_path / f"{name}.png")).shape[0] for name in ("two", "eight")]
    assert heights[0] < heights[1]


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        plot_comparison([], tmp_path / "x.png")
