"""Weights meet the images they were trained on, or loading stops with what to set."""

import re
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solo.checkpoint import SOLOCheckpointer, read_checkpoint, write_checkpoint
from solo.checkpoint.lineages import (
    Lineage,
    check_preprocessing,
    expected_preprocessing,
    to_mmdet,
)
from solo.checkpoint.preprocessing import Preprocessing
from solo.errors import UserError
from tests.conftest import build

RGB = expected_preprocessing(Lineage.MMDET)


def test_preprocessing_of_a_config_is_checked(cfg):
    check_preprocessing(Lineage.OFFICIAL, cfg)
    check_preprocessing(Lineage.SOLO, cfg)
    with pytest.raises(ValueError) as caught:
        check_preprocessing(Lineage.ADELAIDET, cfg)
    for wanted in (
        "INPUT.FORMAT BGR",
        "MODEL.PIXEL_MEAN [103.53, 116.28, 123.675]",
        "MODEL.PIXEL_STD [1.0, 1.0, 1.0]",
        "MODEL.RESNETS.STRIDE_IN_1X1 True",
    ):
        assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.PIXEL_MEAN", [103.53, 116.28, 123.675]),
        ("MODEL.PIXEL_STD", [1.0, 1.0, 1.0]),
        ("MODEL.RESNETS.STRIDE_IN_1X1", True),
        ("INPUT.FORMAT", "BGR"),
    ],
)
@pytest.mark.parametrize("layout", ["mmdet", "solo"])
def test_preprocessing_of_a_model_is_checked(cfg, tmp_path, layout, key, value):
    path = tmp_path / "model.pth"
    model = build(cfg)
    if layout == "mmdet":
        write_checkpoint({"state_dict": to_mmdet(model.state_dict())}, path)
    else:
        SOLOCheckpointer(model, str(tmp_path)).save("model")
    cfg.merge_from_list([key, value])
    with pytest.raises(ValueError, match=rf"Set {re.escape(key)} \S+"):
        SOLOCheckpointer(build(cfg)).load(str(path))


def test_the_colour_order_of_a_model_is_checked():
    model = torch.nn.Module()
    model.input_format = "BGR"
    found = Preprocessing.of_model(model)
    assert found == Preprocessing(input_format="BGR")
    with pytest.raises(ValueError, match=r"a\.pth .* Set INPUT\.FORMAT RGB \(it is BGR\)"):
        RGB.check(found, "a.pth")
    replace(RGB, pixel_mean=(123.68, 116.28, 103.53)).check(RGB, "a.pth")  # a matter of rounding


def test_our_own_checkpoints_carry_it(cfg, tmp_path):
    SOLOCheckpointer(build(cfg), str(tmp_path)).save("model")
    carried = Preprocessing.of_checkpoint(read_checkpoint(tmp_path / "model.pth"))
    assert carried.stride_in_1x1 is False
    assert carried.pixel_mean == pytest.approx(RGB.pixel_mean)


def test_a_resnet_of_plain_blocks_has_no_choice_of_stride(cfg):
    cfg.MODEL.RESNETS.DEPTH = 18
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 64
    assert Preprocessing.of_model(build(cfg)).stride_in_1x1 is None


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("pixel_mean", "123"),
        ("pixel_mean", [1.0, "2.0", 3.0]),
        ("pixel_mean", [1.0, float("nan"), 3.0]),
        ("pixel_std", [10**400] * 3),
        ("pixel_std", torch.ones(3)),
        ("pixel_std", [1.0] * 10**6),
        ("stride_in_1x1", "no"),
        ("input_format", ["RGB"]),
    ],
)
def test_what_is_no_preprocessing_is_named(tiny_cfg, tmp_path, entry, value):
    path = tmp_path / "model.pth"
    model = build(tiny_cfg)
    write_checkpoint({"model": model.state_dict(), "preprocessing": {entry: value}}, path)
    with pytest.raises(
        UserError, match=rf"model\.pth says preprocessing\.{entry} .{{1,200}}, which is"
    ):
        SOLOCheckpointer(model).load(str(path))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def test_what_is_no_dictionary_is_named():
    for carried in (torch.ones(3), [1], "RGB"):
        with pytest.raises(UserError, match=r"^a\.pth says preprocessing "):
            Preprocessing.of_checkpoint({"preprocessing": carried}, "a.pth")


@given(
    carried=ANYTHING
    | st.dictionaries(st.sampled_from(list(Preprocessing.__dataclass_fields__)), ANYTHING)
)
def test_any_preprocessing_is_read_or_refused(carried):
    with suppress(UserError):
        read = Preprocessing.of_checkpoint({"preprocessing": carried}, "a.pth")
        read.check(RGB, "a.pth")
