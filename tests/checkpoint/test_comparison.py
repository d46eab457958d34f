"""The report counts and names what became of each tensor."""

import torch

from solo.checkpoint.comparison import ConversionReport, compare, listed


def test_compare():
    weights = {"a": torch.ones(2), "b": torch.ones(3), "c": torch.ones(1)}
    model = {"a": torch.ones(2), "b": torch.ones(4), "d": torch.ones(1)}
    report = compare(weights, model, source="mmdet", dropped=["meta"])
    assert report == ConversionReport(
        source="mmdet",
        matched=("a",),
        missing=("d",),
        unexpected=("c",),
        reshaped=("b [3] (model: [4])",),
        dropped=("meta",),
    )
    assert not report.fits
    assert str(report).splitlines() == [
        "mmdet checkpoint: 1 matched, 1 missing, 1 unexpected, 1 reshaped, 1 dropped",
        "  missing: d",
        "  unexpected: c",
        "  reshaped: b [3] (model: [4])",
        "  dropped: meta",
    ]


def test_parts_of_another_model_do_not_fit():
    model = {"head.category_tower.0.weight": torch.ones(1)}
    extra = {**model, "head.category_tower.0.offset.weight": torch.ones(1)}
    assert not compare(extra, model, source="mmdet").fits
    assert compare({**model, "bbox_head.anchors": torch.ones(1)}, model, source="mmdet").fits


def test_the_counters_of_batchnorm_are_not_missed():
    model = {"norm.num_batches_tracked": torch.tensor(0), "norm.weight": torch.ones(1)}
    assert compare({}, model, source="solo").missing == ("norm.weight",)


def test_long_lists_are_cut():
    assert listed([str(i) for i in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 2 more"
