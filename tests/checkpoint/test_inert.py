"""Logs of training frameworks in a file do not keep its weights from being read, and do not run."""

import importlib.util
import os
import sys

import numpy as np
import pytest
import torch

from solo.checkpoint import read_checkpoint
from solo.checkpoint.inert import Inert

HISTORY = "mmengine.logging.history_buffer"


@pytest.fixture
def history_buffer(monkeypatch):
    """A class of mmengine's name, which remembers whether it was ever called."""
    spec = importlib.util.spec_from_loader(HISTORY, loader=None)
    module = importlib.util.module_from_spec(spec)

    class HistoryBuffer:
        built = 0

        def __init__(self):
            type(self).built += 1
            self.values = np.ones(3)
            self.method = HistoryBuffer.mean

        def mean(self):
            return self.values.mean()

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = HISTORY, "HistoryBuffer"
    HistoryBuffer.mean.__qualname__ = "HistoryBuffer.mean"
    HistoryBuffer.mean.__module__ = HISTORY
    module.HistoryBuffer = HistoryBuffer
    monkeypatch.setitem(sys.modules, "mmengine", importlib.util.module_from_spec(spec))
    monkeypatch.setitem(sys.modules, "mmengine.logging", importlib.util.module_from_spec(spec))
    monkeypatch.setitem(sys.modules, HISTORY, module)
    return HistoryBuffer


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_of_frameworks_become_inert(tmp_path, history_buffer, zipped):
    path = tmp_path / "epoch_12.pth"
    log = {"loss": history_buffer()}
    weights = {"weight": torch.arange(3.0)}
    content = {"state_dict": weights, "message_hub": log}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)

    loaded = read_checkpoint(path)

    assert torch.equal(loaded["state_dict"]["weight"], weights["weight"])
    assert type(loaded["message_hub"]["loss"]) is Inert
    assert vars(loaded["message_hub"]["loss"]) == {}
    assert history_buffer.built == 1  # by this test


def test_scalars_and_arrays_of_numpy_are_read(tmp_path):
    path = tmp_path / "model.pth"
    values = {"best": np.float64(0.25), "epoch": np.int64(3), "done": np.bool_(True)}
    torch.save({"model": {}, **values, "array": np.arange(3, dtype=np.float32)}, path)
    loaded = read_checkpoint(path)
    assert {key: loaded[key] for key in values} == values
    np.testing.assert_array_equal(loaded["array"], [0, 1, 2])


class Call:
    """A pickle of it calls a function when an ordinary unpickler loads it."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_functions_are_refused_beside_what_is_harmless(tmp_path, history_buffer):
    trace, path = tmp_path / "trace", tmp_path / "model.pth"
    dangerous = (
        Call(os.system, f"touch {trace}"),
        Call(eval, f"open({str(trace)!r}, 'w')"),
        Call(exec, f"open({str(trace)!r}, 'w')"),
    )
    for danger in dangerous:
        torch.save({"log": history_buffer(), "model": danger}, path)
        with pytest.raises(ValueError, match="which is not data"):
            read_checkpoint(path)
        assert not trace.exists()


class OtherWordsError(Exception):
    """What torch might say one day."""


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_depends_on_what_torch_says(tmp_path, history_buffer, monkeypatch, zipped):
    path = tmp_path / "model.pth"
    load, calls = torch.load, []

    def in_other_words(*args, **kwargs):
        calls.append(args)
        try:
            return load(*args, **kwargs)
        except Exception as error:
            raise OtherWordsError("no") from error

    monkeypatch.setattr(torch, "load", in_other_words)
    save = {"_use_new_zipfile_serialization": zipped}
    content = {"model": {"weight": torch.ones(2)}, "log": history_buffer()}
    torch.save(content, path, **save)
    assert type(read_checkpoint(path)["log"]) is Inert
    assert len(calls) == 1  # a large file is read once
    torch.save({**content, "danger": Call(os.system, "true")}, path, **save)
    with pytest.raises(ValueError, match=r"asks to run \w+\.system, which is not data"):
        read_checkpoint(path)
    torch.save(content, path, **save)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    with pytest.raises(ValueError, match="is corrupt, truncated"):
        read_checkpoint(path)


def test_a_whole_model_is_refused_by_the_name_of_its_class(tmp_path):
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"torch\.nn\.modules\.linear\.Linear, which is not data"):
        read_checkpoint(tmp_path / "model.pth")
