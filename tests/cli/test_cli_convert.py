"""The converter writes what was asked for, says what it did, and refuses what it does not know."""

import pytest
import torch

from solo.checkpoint import SOLOCheckpointer, read_checkpoint, write_checkpoint
from solo.checkpoint.lineages import to_mmdet
from solo.cli.main import main
from tests.conftest import build, make_cfg


@pytest.fixture
def cfg():
    cfg = make_cfg("SOLOv2")
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    cfg.INPUT.FORMAT = "RGB"
    return cfg


@pytest.fixture
def config_file(cfg, tmp_path):
    path = tmp_path / "config.yaml"
    cfg.DATASETS.TRAIN = ()
    path.write_text(cfg.dump())
    return str(path)


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(actual[key], value), key


def weights_of(model):
    items = model.state_dict().items()
    return {key: value for key, value in items if not key.endswith("num_batches_tracked")}


def test_there_and_back(cfg, config_file, tmp_path, capsys):
    model = build(cfg)
    ours, theirs, again = (str(tmp_path / f"{name}.pth") for name in ("ours", "theirs", "again"))
    SOLOCheckpointer(model, str(tmp_path), class_names=["a", "b", "c"]).save("ours")

    main(["convert", ours, theirs, "--to", "mmdet", "--config-file", config_file])
    assert f"solo checkpoint: {len(model.state_dict())} matched" in capsys.readouterr().out
    exported = read_checkpoint(theirs)["state_dict"]
    assert "mask_head.conv_kernel.weight" in exported

    main(["convert", theirs, again, "--config-file", config_file])
    printed = capsys.readouterr().out
    assert f"mmdet checkpoint: {len(weights_of(model))} matched, 0 missing" in printed
    assert "the weights expect: INPUT.FORMAT RGB, MODEL.PIXEL_MEAN [123.675" in printed
    assert_same(read_checkpoint(again)["model"], weights_of(model))
    assert_same(to_mmdet(read_checkpoint(again)["model"]), to_mmdet(weights_of(model)))
    SOLOCheckpointer(build(cfg, seed=1), complete=True).load(again)


def test_a_branch_that_only_training_runs_is_left_out_for_mmdetection(cfg, tmp_path, capsys):
    plain = build(cfg)
    cfg.MODEL.SOLO.LOSS.SEMANTIC_WEIGHT = 1.0
    SOLOCheckpointer(build(cfg), str(tmp_path)).save("ours")
    main(["convert", str(tmp_path / "ours.pth"), str(tmp_path / "theirs.pth"), "--to", "mmdet"])
    assert "left out, since only training runs it: head.semantic." in capsys.readouterr().out
    exported = read_checkpoint(tmp_path / "theirs.pth")["state_dict"]
    assert_same(exported, to_mmdet(plain.state_dict()))


def test_a_model_whose_scores_mmdetection_cannot_compute_is_refused(cfg, tmp_path):
    cfg.MODEL.SOLO.QUALITY.ENABLED = True
    SOLOCheckpointer(build(cfg), str(tmp_path)).save("ours")
    with pytest.raises(SystemExit, match=r"error: .*without this branch, by which scores"):
        main(["convert", str(tmp_path / "ours.pth"), str(tmp_path / "out.pth"), "--to", "mmdet"])
    assert not (tmp_path / "out.pth").exists()


def test_names_of_classes_stay(cfg, tmp_path):
    SOLOCheckpointer(build(cfg), str(tmp_path), class_names=["a", "b", "c"]).save("ours")
    main(["convert", str(tmp_path / "ours.pth"), str(tmp_path / "copy.pth")])
    assert read_checkpoint(tmp_path / "copy.pth")["class_names"] == ["a", "b", "c"]


def test_weights_that_were_trained_otherwise_expect_nothing(cfg, tmp_path):
    source, target = str(tmp_path / "theirs.pth"), str(tmp_path / "ours.pth")
    write_checkpoint({"state_dict": to_mmdet(build(cfg).state_dict())}, source)
    main(["convert", source, target, "--trained-otherwise"])
    cfg.MODEL.PIXEL_STD = [1.0, 1.0, 1.0]
    SOLOCheckpointer(build(cfg)).load(target)
    with pytest.raises(ValueError, match="PIXEL_STD"):
        SOLOCheckpointer(build(cfg)).load(source)


def test_an_unknown_layout_is_refused_by_its_first_names(tmp_path):
    write_checkpoint({"model": {"roi_heads.box.weight": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(SystemExit, match=r"error: .*not known.*roi_heads\.box\.weight"):
        main(["convert", str(tmp_path / "other.pth"), str(tmp_path / "out.pth")])
    assert not (tmp_path / "out.pth").exists()


def test_a_file_of_another_model_is_refused(cfg, config_file, tmp_path):
    cfg.MODEL.SOLO.NUM_CONVS = 2
    write_checkpoint({"state_dict": to_mmdet(build(cfg).state_dict())}, tmp_path / "deep.pth")
    arguments = [str(tmp_path / "deep.pth"), str(tmp_path / "out.pth")]
    with pytest.raises(SystemExit, match=r"does not fit the model of .*config\.yaml") as caught:
        main(["convert", *arguments, "--config-file", config_file])
    # The second convolutions are not the model's; the first see the coordinates in both.
    assert "6 unexpected, 0 reshaped" in str(caught.value)
    assert not (tmp_path / "out.pth").exists()


def test_keys_change_the_config_that_is_compared(cfg, config_file, tmp_path, capsys):
    cfg.MODEL.SOLO.NUM_CONVS = 2
    write_checkpoint({"state_dict": to_mmdet(build(cfg).state_dict())}, tmp_path / "deep.pth")
    arguments = ["convert", str(tmp_path / "deep.pth"), str(tmp_path / "out.pth")]
    main([*arguments, "--config", config_file, "MODEL.SOLO.NUM_CONVS", "2"])
    assert "0 missing" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*arguments, "MODEL.SOLO.NUM_CONVS", "2"])
    assert "MODEL.SOLO.NUM_CONVS changes a config: name one" in capsys.readouterr().err


def test_what_is_not_ours_is_reported_without_a_config(cfg, tmp_path, capsys):
    exported = {**to_mmdet(build(cfg).state_dict()), "mask_head.boundary.weight": torch.ones(1)}
    write_checkpoint({"state_dict": exported}, tmp_path / "theirs.pth")
    main(["convert", str(tmp_path / "theirs.pth"), str(tmp_path / "ours.pth")])
    assert "unexpected: head.boundary.weight" in capsys.readouterr().out


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"error: .*nowhere\.pth does not exist"):
        main(["convert", "nowhere.pth", str(tmp_path / "out.pth")])


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    assert "example: solo convert" in capsys.readouterr().out
