"""What is saved comes back, and what does not fit is refused with a way out."""

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from torch import nn

from solo.checkpoint import SOLOCheckpointer, read_checkpoint, write_checkpoint
from solo.checkpoint.lineages import to_mmdet
from solo.errors import UserError
from tests.conftest import build


def make_model(num_classes: int = 2) -> nn.Module:
    return nn.ModuleDict(
        {"backbone": nn.Conv2d(3, 4, 3), "category": nn.Conv2d(4, num_classes, 1, bias=False)}
    )


def assert_equal(model: nn.Module, other: nn.Module) -> None:
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key], rtol=0, atol=0)


def test_round_trip(tmp_path: Path) -> None:
    model, other = make_model(), make_model()
    saver = SOLOCheckpointer(model, str(tmp_path), class_names=["cat", "dog"])
    saver.save("model_0000001", iteration=1)

    loader = SOLOCheckpointer(other, str(tmp_path), class_names=["cat", "dog"], complete=True)
    extra = loader.resume_or_load("", resume=True)

    assert_equal(model, other)
    assert extra["iteration"] == 1
    assert extra["class_names"] == ["cat", "dog"]
    assert saver.last_saved == loader.get_checkpoint_file()


def test_a_full_disk_leaves_the_checkpoint_before_and_names_it(
    tmp_path: Path, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    saver = SOLOCheckpointer(make_model(), str(tmp_path))
    with (
        file_size_limit(1000),
        pytest.raises(OSError, match=r"a\.pth cannot .*untouched\.$"),
    ):
        saver.save("a")
    saver.save("b", iteration=1)
    with file_size_limit(1000), pytest.raises(OSError) as caught:
        saver.save("c")
    assert str(caught.value).startswith(f"{tmp_path}/c.pth cannot be written (File too large);")
    assert str(caught.value).endswith(
        f"untouched. --resume continues from the last whole one, {tmp_path}/b.pth."
    )
    assert saver.last_saved == f"{tmp_path}/b.pth"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.pth", "last_checkpoint"]
    assert read_checkpoint(saver.last_saved)["iteration"] == 1


def test_the_prefix_of_a_wrapper_is_dropped(tmp_path: Path) -> None:
    model, other = make_model(), make_model()
    path = tmp_path / "wrapped.pth"
    write_checkpoint({f"module.{k}": v for k, v in model.state_dict().items()}, path)
    SOLOCheckpointer(other, complete=True).load(str(path))
    assert_equal(model, other)


def test_other_classes_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    SOLOCheckpointer(make_model(2), str(tmp_path), class_names=["cat", "dog"]).save("pets")
    model = make_model(3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    checkpointer = SOLOCheckpointer(model, class_names=["car", "bus", "cab"])

    with pytest.raises(ValueError, match=r"2 classes \(cat, dog\).* 3 \(car, bus, cab\)"):
        checkpointer.load(str(tmp_path / "pets.pth"))
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_the_same_number_of_other_classes_is_refused(tmp_path: Path) -> None:
    SOLOCheckpointer(make_model(2), str(tmp_path), class_names=["cat", "dog"]).save("pets")
    with pytest.raises(ValueError, match=r"\(cat, dog\).*\(dog, cat\)"):
        SOLOCheckpointer(make_model(2), class_names=["dog", "cat"]).load(str(tmp_path / "pets.pth"))


def test_other_shapes_are_refused_with_both(tmp_path: Path) -> None:
    write_checkpoint({"model": make_model(2).state_dict()}, tmp_path / "two.pth")
    with pytest.raises(ValueError, match=r"category\.weight is \[2, 4, 1, 1\] .* \[3, 4, 1, 1\]"):
        SOLOCheckpointer(make_model(3)).load(str(tmp_path / "two.pth"))


def test_a_backbone_alone_loads_for_training_but_not_for_evaluation(tmp_path: Path) -> None:
    model, other = make_model(), make_model()
    path = str(tmp_path / "backbone.pth")
    write_checkpoint({k: v for k, v in model.state_dict().items() if "backbone" in k}, path)
    SOLOCheckpointer(other).load(path)
    torch.testing.assert_close(other["backbone"].weight, model["backbone"].weight)
    with pytest.raises(ValueError, match=r"lacks 1 tensors of the model \(category\.weight\)"):
        SOLOCheckpointer(other, complete=True).load(path)


def test_a_file_of_the_model_zoo_loads_by_matching_names(tmp_path: Path) -> None:
    model = make_model()
    weights = {"weight": np.ones((4, 3, 3, 3), np.float32), "fc": np.ones((2, 2), np.float32)}
    path = tmp_path / "R-50.pkl"
    content = {"model": {"backbone.weight": weights["weight"], "fc": weights["fc"]}}
    path.write_bytes(pickle.dumps({**content, "__author__": "x", "matching_heuristics": True}))
    SOLOCheckpointer(model).load(str(path))
    assert (model["backbone"].weight == 1).all()


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    write_checkpoint({"model": {"something": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="Nothing in the checkpoint"):
        SOLOCheckpointer(make_model()).load(str(tmp_path / "other.pth"))
    write_checkpoint({"meta": {"epoch": 1}}, tmp_path / "meta.pth")
    with pytest.raises(ValueError, match="meta is not a tensor"):
        SOLOCheckpointer(make_model()).load(str(tmp_path / "meta.pth"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        SOLOCheckpointer(make_model()).load("nowhere.pth")


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = make_model()
    checkpointer = SOLOCheckpointer(model, str(tmp_path))
    checkpointer.save("good")
    with torch.no_grad():
        model["category"].weight[0] = float("inf")
    with pytest.raises(FloatingPointError, match=r"category\.weight"):
        checkpointer.save("bad")
    assert checkpointer.get_checkpoint_file() == str(tmp_path / "good.pth")
    assert not (tmp_path / "bad.pth").exists()


def test_weights_alone_are_not_continued_from(tmp_path: Path) -> None:
    checkpointer = SOLOCheckpointer(make_model(), str(tmp_path))
    checkpointer.save("model_0000001")
    checkpointer.save_weights("model_best", best={"value": 1.0})
    assert checkpointer.get_checkpoint_file().endswith("model_0000001.pth")
    assert read_checkpoint(tmp_path / "model_best.pth")["best"] == {"value": 1.0}


def with_quality(cfg: CfgNode, *, enabled: bool) -> CfgNode:
    cfg = cfg.clone()
    cfg.MODEL.SOLO.QUALITY.ENABLED = enabled
    return cfg


@pytest.mark.parametrize("names", ["mmdet", "published", "ours"])
def test_a_quality_branch_starts_fresh_in_training_but_not_in_evaluation(
    cfg: CfgNode, tmp_path: Path, names: str
) -> None:
    plain, path = build(with_quality(cfg, enabled=False)), str(tmp_path / "model.pth")
    content = {
        "mmdet": {"state_dict": to_mmdet(plain.state_dict())},
        "published": {"model": plain.state_dict(), "published": True},
        "ours": {"model": plain.state_dict()},
    }[names]
    write_checkpoint(content, Path(path))
    model = build(with_quality(cfg, enabled=True), seed=1)
    SOLOCheckpointer(model).load(path)
    for key, value in plain.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(model.state_dict()[key], value)
    refusal = "lacks 2 tensors|(?s:of another model.*missing: head.quality_predictor)"
    with pytest.raises(UserError, match=refusal):
        SOLOCheckpointer(model, complete=True).load(path)


def test_an_evaluation_leaves_no_quality_branch_out(cfg: CfgNode, tmp_path: Path) -> None:
    path = str(tmp_path / "model.pth")
    saved = build(with_quality(cfg, enabled=True))
    write_checkpoint({"model": saved.state_dict()}, Path(path))
    model = build(with_quality(cfg, enabled=False), seed=1)
    SOLOCheckpointer(model).load(path)
    said = r"has head\.quality_predictor\.\w+, .*Set MODEL\.SOLO\.QUALITY\.ENABLED True\.$"
    with pytest.raises(UserError, match=said):
        SOLOCheckpointer(model, complete=True).load(path)


def test_an_evaluation_leaves_no_convolution_out(cfg: CfgNode, tmp_path: Path) -> None:
    path = str(tmp_path / "model.pth")
    cfg.MODEL.SOLO.NUM_CONVS = 2
    write_checkpoint({"model": build(cfg).state_dict()}, Path(path))
    cfg.MODEL.SOLO.NUM_CONVS = 1
    with pytest.raises(UserError, match=r"_tower\.1\.weight.*Take the config it was trained with"):
        SOLOCheckpointer(build(cfg), complete=True).load(path)


@pytest.mark.parametrize("norm", ["GN", "BN"])
@pytest.mark.parametrize(
    ("key", "value"), [("COORDINATES", "fourier"), ("MASK_FEATURE.UPSAMPLE", 2)]
)
def test_a_training_begins_from_a_plainer_head_and_finds_the_same(
    cfg: CfgNode, tmp_path: Path, key: str, value: str | int, norm: str
) -> None:
    cfg.MODEL.SOLO.MASK_FEATURE.NORM = norm
    plain, path = build(cfg).eval(), str(tmp_path / "model.pth")
    write_checkpoint({"state_dict": to_mmdet(plain.state_dict())}, Path(path))
    cfg.merge_from_list([f"MODEL.SOLO.{key}", value])
    model = build(cfg, seed=1).eval()
    SOLOCheckpointer(model).load(path)
    images, cells = torch.rand(1, 3, 64, 64), torch.tensor([0, 5])
    with torch.no_grad():
        masks = [
            each.head.soft_masks(each.run_network(images).masks, 0, cells, (16, 16))
            for each in (plain, model)
        ]
    torch.testing.assert_close(masks[1], masks[0], rtol=1e-4, atol=1e-5)
    shapes = [{name: one.shape for name, one in m.state_dict().items()} for m in (plain, model)]
    if shapes[0] != shapes[1]:  # the finer mask feature is SOLOv2's
        with pytest.raises(UserError, match="does not fit the model"):
            SOLOCheckpointer(model, complete=True).load(path)
