"""Checkpoint files: nothing in them runs, and they are whole or not there."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from solo.checkpoint import read_checkpoint, write_checkpoint
from solo.errors import UserError


class Malicious:
    """A pickle of it creates a file when it is loaded by an ordinary unpickler."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
def test_a_malicious_file_is_refused_by_name_and_not_run(tmp_path: Path, suffix: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / f"model{suffix}"
    content = {"model": {"weight": Malicious(trace)}}
    if suffix == ".pth":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))

    with pytest.raises(ValueError, match=r"system, which is not data") as caught:
        read_checkpoint(path)

    assert str(path) in str(caught.value)
    assert not trace.exists()
    # The file is as dangerous as the test believes.
    pickle.loads(pickle.dumps(content))
    assert trace.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_the_model_zoo_are_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "R-50.pkl"
    model = OrderedDict(
        weight=np.arange(6, dtype=np.float32).reshape(2, 3),
        transposed=np.arange(6).reshape(2, 3).T,
        scalar=np.float64(2.5),
        names=["a", "b"],
    )
    path.write_bytes(pickle.dumps({"model": model, "__author__": "someone"}, protocol=protocol))

    loaded = read_checkpoint(path)["model"]

    np.testing.assert_array_equal(loaded["weight"], model["weight"])
    np.testing.assert_array_equal(loaded["transposed"], model["transposed"])
    assert loaded["scalar"] == 2.5
    assert loaded["names"] == ["a", "b"]


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_files_of_either_numpy_are_read(tmp_path: Path, module: str) -> None:
    path = tmp_path / "model.pkl"
    written = pickle.dumps({"weight": np.ones(3)}, protocol=2)
    for name in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        written = written.replace(b"c" + name + b"\n", b"c" + module.encode() + b"\n")
    path.write_bytes(written)
    np.testing.assert_array_equal(read_checkpoint(path)["weight"], np.ones(3))


@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
@pytest.mark.parametrize("keep", [0, 20, 300])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix == ".pth":
        torch.save({"model": {"weight": torch.ones(100)}}, path)
    else:
        path.write_bytes(pickle.dumps({"model": {"weight": np.ones(100)}}))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="corrupt, truncated") as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_is_told_wherever_it_changes_something(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    weights = {f"weight{k}": torch.arange(k, k + 300, dtype=torch.float32) for k in range(5)}
    write_checkpoint({"model": weights, "class_names": ["cat", "dog"]}, path)
    whole = path.read_bytes()
    told = 0
    for number, place in enumerate(range(0, len(whole), len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << number % 8
        path.write_bytes(damaged)
        try:
            content = read_checkpoint(path)
        except UserError as error:
            assert str(error).startswith(f"The checkpoint {path} ({len(whole)} bytes) cannot be")
            told += 1
            continue
        assert content["class_names"] == ["cat", "dog"]
        for name, value in weights.items():
            assert torch.equal(content["model"][name], value)
    assert told > 40  # the others are between the records


def test_files_without_sums_are_read(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(9)}, tmp_path / "fast.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(tmp_path / "old.pth") == {"a": 1}
    assert read_checkpoint(tmp_path / "fast.pth")["a"].sum() == 9


def test_the_checkpoint_before_a_damaged_one_is_named(tmp_path: Path) -> None:
    for name in ("model_0000009", "model_0000019", "model_0000029", "model_best", "backbone"):
        (tmp_path / f"{name}.pth").write_bytes(b"damaged")

    def advice(name: str) -> str:
        with pytest.raises(UserError) as caught:
            read_checkpoint(tmp_path / name)
        return str(caught.value).partition("); ")[2]

    assert advice("backbone.pth") == advice("model_0000009.pth")
    assert advice("backbone.pth") == "take another one, or fetch it again."
    before = tmp_path / "model_0000019.pth"
    expected = f"fetch it again, or take the one before it, {before}"
    assert advice("model_0000029.pth") == f"{expected}."
    marker = tmp_path / "last_checkpoint"
    marker.write_text("model_0000029.pth")
    resume = f"to resume from that, write model_0000019.pth into {marker}."
    assert advice("model_0000029.pth") == f"{expected}; {resume}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth does not exist"):
        read_checkpoint(tmp_path / "nowhere.pth")


def test_what_is_no_dict_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds a list"):
        read_checkpoint(tmp_path / "list.pth")


@pytest.mark.parametrize(
    ("error", "reported"),
    [(OSError("no space"), OSError), (RuntimeError("disk"), OSError), (KeyboardInterrupt(),) * 2],
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, reported: type
) -> None:
    path = tmp_path / "model.pth"
    write_checkpoint({"value": 1}, path)

    def fail_midway(content: dict, file: object) -> None:
        file.write(b"half of it")
        raise error

    monkeypatch.setattr(torch, "save", fail_midway)
    with pytest.raises(reported if isinstance(reported, type) else type(reported)):
        write_checkpoint({"value": 2}, path)

    assert read_checkpoint(path) == {"value": 1}
    assert os.listdir(tmp_path) == ["model.pth"]


@pytest.mark.parametrize("names", [5, "cat", [3], [["cat"]], {"cat": 0}])
def test_class_names_that_are_no_names_are_told(tmp_path, names):
    torch.save({"model": {}, "class_names": names}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth has class_names that are no list of names"):
        read_checkpoint(tmp_path / "a.pth")
