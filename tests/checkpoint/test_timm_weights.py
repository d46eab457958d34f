"""timm://NAME: the weights come by timm's own way, with what images they expect."""

import json
import sys

import pytest
import torch
from torchvision.models import resnet

from solo.checkpoint import SOLOCheckpointer, recognise
from solo.checkpoint.lineages import Lineage
from solo.errors import MissingPackageError, UserError
from tests.checkpoint.test_torchvision_backbones import make_backbone_cfg
from tests.conftest import build

NO_TIMM = "timm is not installed: pip install timm"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))


def load(address):
    model = build(make_backbone_cfg("resnet18"))
    SOLOCheckpointer(model).load(address)
    return model


def test_without_timm_the_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        MissingPackageError, match=r"^timm://resnet18\.a1_in1k needs .*: pip install timm\.$"
    ):
        load("timm://resnet18.a1_in1k")
    assert not [*tmp_path.rglob("*.pth")]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnext101_64x4d"])
def test_the_names_are_those_of_torchvision(name):
    timm = pytest.importorskip("timm", reason=NO_TIMM)
    with torch.device("meta"):
        weights = timm.create_model(name, pretrained=False).state_dict()
        expected = getattr(resnet, name)().state_dict()
    assert recognise(weights) is Lineage.TORCHVISION
    assert {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in expected.items()}


def saved_by_timm(folder, **settings):
    """Write a model as timm's own files are, and return its values and its address."""
    timm = pytest.importorskip("timm", reason=NO_TIMM)
    network = timm.create_model("resnet18", pretrained=False)
    timm.models.save_for_hf(network, folder)
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"].update(settings)
    (folder / "config.json").write_text(json.dumps(config))
    return network.state_dict(), f"timm://local-dir:{folder}"


def test_weights_come_by_timms_own_way_and_stay(tmp_path):
    weights, address = saved_by_timm(tmp_path / "saved")
    for _ in range(2):  # the second time without timm's file
        loaded = load(address).backbone.bottom_up.res5[1].conv2.weight
        assert torch.equal(loaded, weights["layer4.1.conv2.weight"])
        (tmp_path / "saved" / "config.json").unlink(missing_ok=True)


def test_images_of_another_kind_are_refused(tmp_path):
    _, address = saved_by_timm(tmp_path / "saved", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    with pytest.raises(UserError, match=r"Set MODEL\.PIXEL_MEAN \[127\.5, 127\.5, 127\.5\]"):
        load(address)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18.a1_in2k", r"no weights of the name resnet18\.a1_in2k; did you mean resnet18\.a"),
        ("resnet19", r"no weights of the name resnet19[;.]"),
    ],
)
def test_names_that_timm_does_not_know(name, words):
    pytest.importorskip("timm", reason=NO_TIMM)
    with pytest.raises(UserError, match=words):
        load(f"timm://{name}")
