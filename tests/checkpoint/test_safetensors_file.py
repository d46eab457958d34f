"""Weights as safetensors: what is written is read, and what is damaged is told in a sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from solo.checkpoint import read_checkpoint
from solo.checkpoint.safetensors_file import read_safetensors, write_safetensors
from solo.errors import UserError

# Two names for one memory, one that is not contiguous, one without a size.
TENSOR = torch.arange(6.0).view(2, 3)
CONTENT = {
    "model": {"a": TENSOR, "b": TENSOR, "c": TENSOR.t(), "d": torch.tensor(7), "e": TENSOR.half()},
    "class_names": ["a cat", "été"],
    "preprocessing": {"input_format": "RGB", "stride_in_1x1": False},
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(CONTENT, path)
    return path


def test_what_is_written_is_read(path):
    content = read_checkpoint(path)
    for name, tensor in CONTENT["model"].items():
        assert content["model"][name].dtype == tensor.dtype
        assert torch.equal(content["model"][name], tensor)
    assert {key: content[key] for key in CONTENT if key != "model"} == {
        key: value for key, value in CONTENT.items() if key != "model"
    }


def test_a_file_of_others_is_weights_alone(tmp_path):
    save_file({"a": TENSOR}, tmp_path / "a.safetensors", {"format": "pt"})
    content = read_checkpoint(tmp_path / "a.safetensors")
    assert [*content] == ["model"] and torch.equal(content["model"]["a"], TENSOR)


def huge_header(good):
    return (2**62).to_bytes(8, "little") + good[8:]


def lying_header(good):
    """A tensor of a billion numbers in a file of a few bytes."""
    text = json.dumps({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}})
    return len(text).to_bytes(8, "little") + text.encode() + bytes(16)


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: b"",
        lambda good: good[:-5],
        lambda good: good + b"more",
        lambda good: b"<html>not found</html>",
        huge_header,
        lying_header,
    ],
)
def test_a_damaged_file_is_told(path, damage):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        UserError, match=r"a\.safetensors \(\d+ bytes\) cannot be read: it is corrupt"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"class_names": 5}'])
def test_a_text_that_is_not_ours_is_told(tmp_path, text):
    save_file({"a": TENSOR}, tmp_path / "a.safetensors", {"solo": text})
    with pytest.raises(UserError, match=r"The checkpoint .*a\.safetensors"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_a_disk_that_is_full(path, file_size_limit):
    before = path.read_bytes()
    with file_size_limit(100), pytest.raises(OSError, match="was there before is untouched"):
        write_safetensors(CONTENT, path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        read_safetensors(path.with_name("none.safetensors"))
