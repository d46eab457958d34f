"""Weights by name: fetched from a server on this machine, converted once, kept, and loaded as ours."""

import re
import threading
from pathlib import Path

import pytest
import torch
from detectron2.utils.file_io import PathManager
from torchvision.models import get_weight

from solo.checkpoint import SOLOCheckpointer, read_checkpoint, weights_cache
from solo.checkpoint.published import PUBLISHED, find_published
from solo.checkpoint.weights_cache import cached_path, published_weights
from solo.errors import UserError
from tests.checkpoint.test_torchvision_backbones import make_backbone_cfg, make_network
from tests.conftest import build, make_cfg
from tests.zoo_server import COCO_NAMES, mmdet_file, publish

NAME = "coco/solov2_R_50_FPN_1x"


def tiny_model(seed=0):
    """A SOLOv2 of 80 classes whose images are prepared as mmdetection does."""
    cfg = make_cfg()
    cfg.MODEL.SOLO.NUM_CLASSES = 80
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    cfg.INPUT.FORMAT = "RGB"
    return build(cfg, seed)


@pytest.fixture(scope="module")
def content():
    return mmdet_file(tiny_model().state_dict())


@pytest.fixture
def zoo(empty_zoo, content, monkeypatch):
    """A mirror that has the tiny model under a published name."""
    monkeypatch.setitem(PUBLISHED, NAME, publish(empty_zoo.folder, NAME, content))
    return empty_zoo


def in_cache(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_the_table_is_the_published_one():
    entry = find_published("coco/solov2_light_448_R_50_FPN_3x")
    assert entry.address == (
        "https://download.openmmlab.com/mmdetection/v2.0/solov2/solov2_light_r50_fpn_3x_coco/"
        "solov2_light_r50_fpn_3x_coco_20220512_165256-c93a6074.pth"
    )
    assert (entry.sha256, entry.average_precision) == ("c93a6074", 33.7)
    models = [entry for entry in PUBLISHED.values() if entry.average_precision]
    assert [entry.finds for entry in models] == 13 * ["masks"] + 6 * ["boxes"]
    assert {entry.licence for entry in models} == {"Apache-2.0"}
    for entry in PUBLISHED.values():
        assert len(entry.sha256) == (64 if entry.finds == "boxes" else 8) and int(entry.sha256, 16)


def test_the_address_of_a_yolox_is_that_of_its_release():
    entry = find_published("coco/yolox_s")
    assert entry.address == (
        "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_s.pth"
    )
    assert (entry.average_precision, entry.sha256[:8]) == (40.5, "f55ded71")


@pytest.mark.parametrize(
    "name", ["imagenet/resnet18", "imagenet/resnet34", "imagenet/resnext101_64x4d"]
)
def test_backbones_are_those_of_torchvision(name):
    entry = PUBLISHED[name]
    weights = get_weight(entry.source_config)
    assert (entry.address, entry.parameters) == (weights.url, weights.meta["num_params"])


def test_the_table_of_the_docs_is_this_one():
    text = (Path(__file__).parents[2] / "docs" / "model_zoo.md").read_text()
    rows = re.findall(r"^\| (coco/[^ ,]+).* \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert rows == [
        (name, f"{entry.average_precision}", f"{entry.parameters / 1e6:.1f}")
        for name, entry in PUBLISHED.items()
        if not entry.is_backbone
    ]


def test_a_name_is_fetched_once_and_its_original_is_not_kept(zoo, tmp_path, content):
    path = published_weights(NAME)
    assert zoo.paths == [f"/{PUBLISHED[NAME].path}"]
    assert in_cache(tmp_path) == [path.name]
    loaded = read_checkpoint(path)
    assert loaded["class_names"] == COCO_NAMES
    assert loaded["preprocessing"]["input_format"] == "RGB"
    for again in (f"solo://{NAME}", f"{NAME}.yaml", f"solo://{NAME}.yaml"):
        assert published_weights(again) == path
    assert PathManager.get_local_path(f"solo://{NAME}.yaml") == str(path)
    assert len(zoo.paths) == 1


def test_the_weights_are_those_of_the_file(zoo):
    model, expected = tiny_model(seed=1), tiny_model().state_dict()
    loaded = SOLOCheckpointer(model, complete=True).load(f"solo://{NAME}")
    assert loaded["class_names"] == COCO_NAMES
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_a_training_of_other_classes_begins_from_them_by_name(zoo):
    cfg = make_cfg()
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    cfg.INPUT.FORMAT, cfg.MODEL.RESNETS.STRIDE_IN_1X1 = "RGB", False
    model, dog = build(cfg, seed=1), COCO_NAMES.index("dog")
    checkpointer = SOLOCheckpointer(
        model, class_names=["stamp", "Dog", "cork"], takes_classes_by_name=True
    )
    checkpointer.load(f"solo://{NAME}")
    expected = tiny_model().head.category_predictor.weight[dog]
    assert torch.equal(model.head.category_predictor.weight[1], expected)


def test_a_config_that_it_does_not_go_with_is_refused(zoo):
    cfg = make_cfg("SOLO")
    cfg.MODEL.SOLO.NUM_CLASSES = 80
    with pytest.raises(UserError, match=rf"solo://{NAME}.*prepared in another way"):
        SOLOCheckpointer(build(cfg)).load(f"solo://{NAME}")
    other = tiny_model()
    other.head.extra = torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match=rf"solo://{NAME} is of another model"):
        SOLOCheckpointer(other).load(f"solo://{NAME}")


@pytest.mark.parametrize(
    "meta",
    [
        {"CLASSES": [name.replace(" ", "_") for name in COCO_NAMES]},
        {"dataset_meta": {"CLASSES": tuple(COCO_NAMES)}},
        {"dataset_meta": {"classes": COCO_NAMES}},
        {"dataset_meta": None},
        {},
    ],
)
def test_names_of_classes(empty_zoo, content, monkeypatch, meta):
    small = {key: value for key, value in content["state_dict"].items() if "conv_cls" in key}
    file = {"state_dict": small, "meta": meta}
    monkeypatch.setitem(PUBLISHED, NAME, publish(empty_zoo.folder, NAME, file))
    assert read_checkpoint(f"solo://{NAME}")["class_names"] == COCO_NAMES


def test_a_backbone_is_kept_by_its_own_names(empty_zoo, monkeypatch):
    name, weights = "imagenet/resnet18", {"conv1.weight": torch.ones(2), "fc.bias": torch.zeros(1)}
    monkeypatch.setitem(PUBLISHED, name, publish(empty_zoo.folder, name, weights))
    assert torch.equal(read_checkpoint(f"solo://{name}")["model"]["conv1.weight"], torch.ones(2))


def test_a_backbone_fills_a_model_of_any_classes(empty_zoo, monkeypatch):
    name, weights = "imagenet/resnet18", make_network("resnet18").state_dict()
    monkeypatch.setitem(PUBLISHED, name, publish(empty_zoo.folder, name, weights))
    model = build(make_backbone_cfg("resnet18"))
    SOLOCheckpointer(model, class_names=["a", "b", "c"]).load(f"solo://{name}")
    loaded = model.backbone.bottom_up.res5[1].conv2.weight
    assert torch.equal(loaded, weights["layer4.1.conv2.weight"])
    with pytest.raises(UserError, match=r"(?s)another model.*missing: backbone\.bottom_up"):
        SOLOCheckpointer(build(make_backbone_cfg("resnet34"))).load(f"solo://{name}")


def test_names_that_nobody_knows():
    with pytest.raises(UserError, match=r"did you mean coco/solov2_R_50_FPN_3x\?$"):
        find_published("solov2_R_50_FPN_3x")
    with pytest.raises(
        UserError, match=r"solo://coco/solov2_R_50_FPN_2x; did you mean coco/solov2_R_50"
    ):
        read_checkpoint("solo://coco/solov2_R_50_FPN_2x")
    with pytest.raises(UserError, match=r"solo_R_101_FPN_3x; there are for coco/solo_R_50_FPN_1x"):
        find_published("coco/solo_R_101_FPN_3x")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "coco/../../setup", "", "."])
def test_no_name_leads_out_of_the_zoo(name):
    with pytest.raises(UserError, match="No weights are published"):
        PathManager.get_local_path(f"solo://{name}")
    with pytest.raises(UserError, match="no config"):
        PathManager.open(f"solo://{name}")
    assert not PathManager.exists(f"solo://{name}")


@pytest.mark.parametrize("mode", ["w", "a", "r+", "wb", "x"])
def test_what_comes_with_solo_is_only_read(mode, tmp_path, monkeypatch):
    file = tmp_path / "kept.yaml"
    file.write_text("SEED: 1")
    monkeypatch.setattr("solo.checkpoint.zoo_addresses.named_config", lambda _: file)
    with pytest.raises(
        UserError, match=re.escape(f"is only read: it cannot be opened as {mode!r}")
    ):
        PathManager.open(f"solo://{NAME}", mode)
    assert file.read_text() == PathManager.open(f"solo://{NAME}", "rt").read() == "SEED: 1"


def test_a_config_is_read_by_its_address():
    for address in (f"solo://{NAME}.yaml", f"solo://{NAME}"):
        assert PathManager.isfile(address)
        with PathManager.open(address) as file:
            assert "_BASE_" in file.read()


def test_without_a_net_the_sentence_says_all(empty_zoo, monkeypatch, tmp_path):
    monkeypatch.delenv("SOLO_ZOO_URL")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    entry = PUBLISHED[NAME]
    with pytest.raises(OSError) as told:
        SOLOCheckpointer(tiny_model()).load(f"solo://{NAME}")
    assert str(told.value) == (
        f"{entry.address} cannot be fetched (Connection refused); fetch {entry.file_name} elsewhere and "
        f"put it at {tmp_path / 'cache' / entry.file_name}, or name a mirror in SOLO_ZOO_URL."
    )
    assert in_cache(tmp_path) == []


@pytest.mark.parametrize("place", ["cache", "torch/hub/checkpoints"])
def test_a_file_that_was_put_there_is_used_and_stays(zoo, tmp_path, place):
    entry = PUBLISHED[NAME]
    placed = tmp_path / place / entry.file_name
    placed.parent.mkdir(parents=True)
    placed.write_bytes((zoo.folder / entry.path).read_bytes())
    assert read_checkpoint(f"solo://{NAME}")["class_names"] == COCO_NAMES
    assert placed.is_file() and zoo.paths == []


def test_a_wrong_file_that_was_put_there_is_told(zoo, tmp_path):
    placed = tmp_path / "cache" / PUBLISHED[NAME].file_name
    placed.parent.mkdir()
    placed.write_text("<html>not found</html>")
    with pytest.raises(OSError, match=rf"{placed} is not the published file: .* remove it, or"):
        published_weights(NAME)
    assert in_cache(tmp_path) == [placed.name]


def test_a_mirror_may_have_all_in_one_folder(zoo):
    entry = PUBLISHED[NAME]
    (zoo.folder / entry.path).rename(zoo.folder / entry.file_name)
    published_weights(NAME)
    assert zoo.paths == [f"/{entry.path}", f"/{entry.file_name}"]


def test_a_mirror_may_be_a_folder(zoo, monkeypatch):
    monkeypatch.setenv("SOLO_ZOO_URL", f"{zoo.folder.as_uri()}/")
    assert published_weights(NAME).is_file() and zoo.paths == []


def test_a_mirror_that_is_no_address(zoo, monkeypatch):
    monkeypatch.setenv("SOLO_ZOO_URL", "mirror.example")
    with pytest.raises(UserError, match=r"SOLO_ZOO_URL is 'mirror\.example', which is no address"):
        published_weights(NAME)


def test_a_file_of_another_hash_is_not_kept(zoo, tmp_path):
    file = zoo.folder / PUBLISHED[NAME].path
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(OSError, match=rf"{zoo.url}.* is not the published file and was removed"):
        published_weights(NAME)
    assert in_cache(tmp_path) == []


def test_a_download_that_was_cut_goes_on(zoo, tmp_path):
    zoo.cut_after = 5000
    with pytest.raises(OSError, match="cut after 5,000 of"):
        published_weights(NAME)
    assert in_cache(tmp_path) == [f"{PUBLISHED[NAME].file_name}.partial"]
    zoo.cut_after = None
    published_weights(NAME)
    assert zoo.sent == (zoo.folder / PUBLISHED[NAME].path).stat().st_size


def test_a_disk_that_is_full_gets_its_room_back(zoo, tmp_path, file_size_limit):
    size = (zoo.folder / PUBLISHED[NAME].path).stat().st_size
    for limit in (5000, size - 1):
        with file_size_limit(limit), pytest.raises(OSError, match="cannot be written"):
            published_weights(NAME)
        assert in_cache(tmp_path) == []


def test_a_disk_that_is_full_after_the_download(zoo, tmp_path, monkeypatch):
    def full(content, path):
        raise OSError(f"{path} cannot be written (No space left on device)")

    monkeypatch.setattr(weights_cache, "write_safetensors", full)
    with pytest.raises(OSError, match="No space left"):
        published_weights(NAME)
    assert in_cache(tmp_path) == []


def test_a_file_of_the_cache_that_was_damaged_is_fetched_again(zoo):
    path = published_weights(NAME)
    whole = path.read_bytes()
    for damaged in (whole[:-9], b""):
        path.write_bytes(damaged)
        assert published_weights(NAME) == path and path.read_bytes() == whole
    assert len(zoo.paths) == 3


def test_a_name_in_place_of_an_address_is_told():
    model = tiny_model()
    for load in (read_checkpoint, SOLOCheckpointer(model).load):
        with pytest.raises(FileNotFoundError, match=rf"of that name are solo://{NAME}\.$"):
            load(NAME)


def test_a_cache_that_cannot_be_written_to(zoo, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOLO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match=r"\(SOLO_CACHE\), cannot be written to \(Not a directory\)"):
        published_weights(NAME)


def test_a_cache_that_may_only_be_read_is_enough(zoo, monkeypatch):
    path = published_weights(NAME)
    monkeypatch.setattr(weights_cache, "check_folder", lambda *_: pytest.fail("it was tried"))
    assert published_weights(NAME) == path


def test_the_folder_is_that_of_torch_hub(empty_zoo, tmp_path, monkeypatch):
    monkeypatch.delenv("SOLO_CACHE")
    folder = tmp_path / "torch" / "hub" / "checkpoints" / "solo"
    assert cached_path(PUBLISHED[NAME]).parent == folder
    monkeypatch.setenv("SOLO_CACHE", "~/weights")
    assert cached_path(PUBLISHED[NAME]).parent == Path("~/weights").expanduser()


def test_several_at_once_fetch_once(zoo):
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(published_weights(NAME))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1 and len(paths) == 4 and len(zoo.paths) == 1
