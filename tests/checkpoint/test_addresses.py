"""Weights from the net, without the net: the sentence names a place, and a file there is taken."""

import re
import urllib.request
from pathlib import Path

import pytest

from solo.checkpoint import SOLOCheckpointer, write_checkpoint
from solo.checkpoint.addresses import fetching
from solo.errors import UserError
from tests.conftest import build


@pytest.fixture(autouse=True)
def without_a_net(monkeypatch, tmp_path):
    # Nobody listens at this port, which stands between here and everything else.
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # urllib keeps the first opener that it makes, and with it these addresses.
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("https://a.example/b/c.pth", "https://a.example/b/c.pth"),
        ("detectron2://b/c.pkl", "https://dl.fbaipublicfiles.com/detectron2/b/c.pkl"),
        (
            "catalog://ImageNetPretrained/MSRA/R-50",
            "https://dl.fbaipublicfiles.com/detectron/ImageNetPretrained/MSRA/R-50.pkl",
        ),
    ],
)
def test_the_sentence_has_the_address_the_key_and_the_place(tiny_cfg, tmp_path, path, address):
    with pytest.raises(
        OSError, match=r"^The weights cannot be fetched from .*MODEL\.WEIGHTS"
    ) as told:
        SOLOCheckpointer(build(tiny_cfg)).load(path)
    assert f"from {address} (" in str(told.value)
    assert "<urlopen" not in str(told.value)
    # Below the folder of the cache, by the path of the address.
    place = re.search(r"or put them at (\S+)\.$", str(told.value))[1]
    assert place == str(tmp_path / "cache" / address.partition("//")[2].partition("/")[2])


def test_a_file_at_that_place_is_taken(tiny_cfg, tmp_path):
    model, address = build(tiny_cfg), "https://a.example/b/c.pth"
    with pytest.raises(OSError) as told:
        SOLOCheckpointer(model).load(address)
    place = Path(re.search(r"or put them at (\S+)\.$", str(told.value))[1])
    place.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint({"model": model.state_dict(), "iteration": 7}, place)
    assert SOLOCheckpointer(model).load(address)["iteration"] == 7


def test_names_and_addresses_that_nobody_knows(tiny_cfg):
    with pytest.raises(UserError, match=r"MODEL\.WEIGHTS is catalog://R-51, .* no such name"):
        SOLOCheckpointer(build(tiny_cfg)).load("catalog://R-51")
    with pytest.raises(OSError, match=r"cannot be fetched from s4://a\.pth .*to the file\.$"):
        SOLOCheckpointer(build(tiny_cfg)).load("s4://a.pth")


def test_the_sentence_of_somebody_else_ends_within_ours():
    with (
        pytest.raises(OSError, match=r"a\.pth \(The hub is offline\)\. Fetch"),
        fetching("s4://a.pth"),
    ):
        raise OSError("The hub is offline.")
