"""Reading metrics.json with all that can be wrong with it, and the pictures made of it."""

import json
from itertools import pairwise

import cv2
import pytest

from solo.cli.main import main
from solo.visualization import curves, plot_metrics, plot_runs
from solo.visualization.curves import read_metrics
from solo.visualization.line_panels import spread_apart


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [
        {"iteration": i, "total_loss": 3 - i / 100, "loss_mask": 2.0, "loss_category": 1, "lr": 0.1}
        for i in range(0, 200, 20)
    ]
    lines[-1].update({"segm/AP": 31.5, "bbox/AP": 30.0, "segm/AP-zero": 12.0})
    (folder / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def append(run, *lines):
    with (run / "metrics.json").open("a") as file:
        file.write("\n".join(lines))


def is_picture(path):
    return cv2.imread(str(path)) is not None


def test_later_line_wins_after_a_resume(run):
    # Resumed at 120, logging at other iterations; so far up to 150.
    append(run, *(f'{{"iteration": {i}, "total_loss": 0.5}}' for i in (130, 150)))
    metrics = read_metrics(run / "metrics.json")
    iterations = [iteration for iteration, _ in metrics["total_loss"]]
    assert iterations == [0, 20, 40, 60, 80, 100, 120, 130, 150]
    assert metrics["total_loss"][-1] == (150, 0.5)
    # What was not written again is kept.
    assert metrics["segm/AP"] == [(180, 31.5)]


def test_same_iteration_twice(run):
    append(run, '{"iteration": 180, "lr": 0.7}')
    assert read_metrics(run / "metrics.json")["lr"][-1] == (180, 0.7)
    assert len(read_metrics(run / "metrics.json")["lr"]) == 10


@pytest.mark.parametrize(
    "broken", ['{"iteration": 200, "total_lo', "", "[1, 2]", '{"lr": 1}', "null", "\x00\x00"]
)
def test_broken_lines_are_passed_over(run, broken):
    before = read_metrics(run / "metrics.json")
    append(run, broken)
    assert read_metrics(run / "metrics.json") == before
    plot_metrics(run / "metrics.json", run / "metrics.png")


def test_not_a_number_is_not_drawn_and_breaks_nothing(run):
    append(run, '{"iteration": 200, "segm/AP": NaN, "total_loss": Infinity, "lr": 0.1}')
    plot_metrics(run / "metrics.json", run / "metrics.png")
    assert is_picture(run / "metrics.png")


def test_no_ap_yet(tmp_path):
    (tmp_path / "metrics.json").write_text('{"iteration": 1, "total_loss": 1.0, "lr": 0}\n')
    plot_metrics(tmp_path / "metrics.json", tmp_path / "sub" / "metrics.png")
    assert is_picture(tmp_path / "sub" / "metrics.png")


def test_positive_cells_get_a_panel_where_they_were_logged(run):
    plot_metrics(run / "metrics.json", run / "before.png")
    append(run, *(f'{{"iteration": 200, "targets/positives_level{i}": {i}}}' for i in range(3)))
    plot_metrics(run / "metrics.json", run / "after.png")
    before, after = (cv2.imread(str(run / name)).shape[1] for name in ("before.png", "after.png"))
    assert after == pytest.approx(before * 4 / 3, abs=2)


def test_nothing_to_plot_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_metrics(tmp_path / "metrics.json")
    (tmp_path / "metrics.json").write_text("\n")
    with pytest.raises(ValueError, match="no numbers yet"):
        read_metrics(tmp_path / "metrics.json")
    with pytest.raises(ValueError, match="at least one"):
        plot_runs({}, tmp_path / "out.png")


def test_labels_keep_apart():
    placed = spread_apart([0.1, 0.1, 0.1, 0.98, 0.99])
    steps = [b - a for a, b in pairwise(placed)]
    assert min(steps) > 0.06
    assert 0 < placed[0] < placed[-1] < 1


def test_a_name_is_no_formula(run, tmp_path):
    metrics, output = run / "metrics.json", tmp_path / "a.png"
    plot_metrics(metrics, output, title=r"$\no$", epoch=50, best_file="model_best.pth")
    plot_runs({r"$\no$": metrics, "b": metrics}, output)
    assert is_picture(output)


def drawn(monkeypatch, *args, **kwargs):
    """Return the axes of the AP in a picture of one run."""
    figures = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: figures.append(figure))
    plot_metrics(*args, **kwargs)
    return figures[0].axes[2]


def test_the_star_has_the_colour_of_its_line(run, monkeypatch):
    append(run, '{"iteration": 180, "pets/segm/AP": 40.0, "cats/segm/AP": 20.0}')
    axes = drawn(monkeypatch, run / "metrics.json", run / "a.png", best_metric="pets/segm/AP")
    colors = {line.get_ydata()[-1]: line.get_color() for line in axes.lines[:-1]}
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert star.get_ydata()[-1] == 40 and star.get_color() == colors[40]
    assert len(set(colors.values())) == len(colors)


def test_boundaries_have_a_curve_and_may_have_the_star(run, monkeypatch):
    append(run, '{"iteration": 180, "segm/AP": 40.0, "boundary/AP": 20.0}')
    axes = drawn(monkeypatch, run / "metrics.json", run / "a.png", best_metric="boundary/AP")
    assert "best boundary AP 20.0" in axes.texts[-1].get_text()
    assert {20.0, 40.0} < {line.get_ydata()[-1] for line in axes.lines}


def test_evaluations_stand_at_the_steps_that_were_taken(run, monkeypatch):
    end = '{"iteration": 200, "segm/AP": 30.0}'
    append(run, '{"iteration": 199, "total_loss": 1.0}', end)
    axes = drawn(monkeypatch, run / "metrics.json", run / "a.png")
    assert axes.lines[0].get_xdata().tolist() == [181, 200]
    assert "iteration 181" in axes.texts[-1].get_text()


def test_command_draws_a_run_or_compares(run, tmp_path):
    picture = str(tmp_path / "curves.png")
    assert main(["report", str(run), "--curves", picture]) == 0
    assert is_picture(picture)
    main(["report", str(run), str(run), "--curves", str(tmp_path / "compared.png")])
    assert is_picture(tmp_path / "compared.png")
    with pytest.raises(SystemExit, match="no such file"):
        main(["report", str(tmp_path / "missing"), "--curves", picture])
