import compare_pycocotools
import numpy as np
import pytest
from compare_pycocotools import benchmark_evaluation, main, make_results, registered
from detectron2.data import MetadataCatalog
from pycocotools import mask as coco_mask


def test_rows_of_both_tasks_and_of_both_together():
    rows, note = benchmark_evaluation(12, 20, budget_s=60)
    assert [row.task for row in rows] == ["bbox", "segm", "both"] and note == ""
    for row in rows:
        assert (row.images, row.detections) == (12, 240)
        assert row.ours_s > 0 and row.difference <= 1e-6
        assert row.ratio == pytest.approx(row.pycocotools_s / row.ours_s)
    assert rows[2].ours_s == pytest.approx(rows[0].ours_s + rows[1].ours_s)


def test_results_are_worth_evaluating():
    truth, outputs = make_results(12, 20)
    with registered(truth) as name:
        _, ours = compare_pycocotools._evaluate(name, "segm", outputs)
    assert "made_up_for_benchmark" not in MetadataCatalog
    assert 5 < ours[0] < 95
    for annotation in truth["annotations"]:
        assert coco_mask.area(annotation["segmentation"]) == annotation["area"]
    assert len({annotation["id"] for annotation in truth["annotations"]}) == 12 * 7


def test_other_figures_are_no_success(monkeypatch):
    evaluate = compare_pycocotools._evaluate

    def wrong(*args):
        seconds, figures = evaluate(*args)
        return seconds, figures + 1e-3

    monkeypatch.setattr(compare_pycocotools, "_evaluate", wrong)
    with pytest.raises(ValueError, match=r"bbox: the figures differ by 0\.001"):
        benchmark_evaluation(4, 10, budget_s=60)


def test_small_budget_means_fewer_images_and_says_so(monkeypatch):
    clock = iter(np.arange(1000) * 40.0)
    monkeypatch.setattr(compare_pycocotools.time, "perf_counter", lambda: next(clock))
    rows, note = benchmark_evaluation(60, 5, budget_s=100)
    assert rows[0].images < 60
    assert note == f"{rows[0].images} of 60 images: more would take longer than 100 s."


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        benchmark_evaluation(0, 5)


def test_the_command(capsys):
    main(["--images", "5", "--detections", "10"])
    printed = capsys.readouterr().out
    assert "both" in printed and "ratio" in printed
    with pytest.raises(SystemExit, match=r"error: .*1 or more"):
        main(["--images", "0"])
