"""From a folder to a config that trains: all of it, on a tiny model."""

import dataclasses

import pytest
import yaml

from solo.checkpoint import run_files
from solo.config.load import load_config
from solo.errors import UserError
from solo.survey.plan import plan_for, this_machine
from solo.survey.plan_files import PLAN
from solo.training import Trainer
from tests.conftest import make_cfg
from tests.data.annotated import WRITERS, Drawn, Scene, scenes, write_coco, write_voc_xml
from tests.data.formats.conftest import forget  # noqa: F401
from tests.toys import write_config


@pytest.fixture
def tiny(tmp_path):
    """The file of a tiny model, which was trained on other sizes."""
    cfg = make_cfg()
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (64,), 96
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 64, 96
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    return str(write_config(cfg, tmp_path))


def pictures(number, parts=False):
    """The scene with objects, several times."""
    scene = scenes(parts=parts, holes=False)[0]
    return [dataclasses.replace(scene, file_name=f"{index}.png") for index in range(number)]


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_trains_and_evaluates(form, tiny, tmp_path):
    (tmp_path / "cats").mkdir()
    WRITERS[form](tmp_path / "cats", pictures(20))
    plan = plan_for(
        str(tmp_path / "cats"),
        model=tiny,
        epochs=1,
        output=str(tmp_path / "out"),
        device="cpu",
        options=["DATALOADER.NUM_WORKERS", "0", "SOLVER.MAX_ITER", "2"],
    )
    assert plan.file == tmp_path / "out" / PLAN
    cfg = load_config(plan.file)
    assert (cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.MAX_ITER, cfg.TEST.EVAL_PERIOD) == (4, 2, 1)
    assert cfg.MODEL.SOLO.NUM_CLASSES in (2, 3)
    trainer = Trainer(cfg)
    trainer.resume_or_load()
    results = trainer.train()
    assert 0 <= results["segm"]["AP"] <= 100
    assert (tmp_path / "out" / "model_best.pth").is_file()


def test_one_image(tiny, tmp_path):
    (tmp_path / "cats").mkdir()
    write_coco(tmp_path / "cats", pictures(1))
    plan = plan_for(str(tmp_path / "cats"), model=tiny, output=str(tmp_path / "out"), device="cpu")
    assert "evaluated with the image that it trains on: there is no other" in plan.reasons
    # It is all that there is: as often as is sensible.
    assert any(
        reason.startswith("300 epochs of 1 images are 150 iterations") for reason in plan.reasons
    )


def test_ten_images_of_one_class(tiny, tmp_path):
    square = Drawn("cat", [[4, 4, 40, 4, 40, 40, 4, 40]])
    write_coco(tmp_path, [Scene(f"{index}.png", (64, 96), [square]) for index in range(10)])
    plan = plan_for(str(tmp_path / "coco.json"), model=tiny, output=str(tmp_path / "out"))
    assert "8 images with 8 objects to train on, 2 images to evaluate with" in plan.reasons


def test_the_yaml_is_small_and_says_why(tiny, tmp_path):
    write_coco(tmp_path, pictures(8))
    options = ["SOLVER.BASE_LR", "0.5", "SEED", "7"]
    plan = plan_for(
        str(tmp_path / "coco.json"),
        model=tiny,
        weights="another.pth",
        epochs=2.5,
        output=str(tmp_path / "out"),
        device="cpu",
        options=options,
    )
    text = plan.file.read_text()
    settings = yaml.safe_load(text)
    assert settings["_BASE_"] == tiny and settings["SEED"] == 7
    assert settings["SOLVER"]["BASE_LR"] == 0.5 and "# as given" in text
    # 2.5 x 6 / 2; three quarters of 40,000 become three quarters of these.
    assert settings["SOLVER"]["MAX_ITER"] == 8 and settings["SOLVER"]["STEPS"] == [6]
    assert "# 2.5 epochs of 6 images are 8 iterations" in text
    assert not any("learning rate" in reason for reason in plan.reasons)
    assert len(text.splitlines()) < 70


def test_the_name_of_the_data_is_that_of_the_folder(tiny, tmp_path, monkeypatch):
    (tmp_path / "my cats").mkdir()
    write_coco(tmp_path / "my cats", pictures(5))
    monkeypatch.chdir(tmp_path)
    plan = plan_for("my cats", model=tiny)
    assert str(plan.file) == f"output/my_cats/{PLAN}"
    cfg = load_config(plan.file)
    assert cfg.OUTPUT_DIR == "output/my_cats" and cfg.DATASETS.TRAIN == ("my_cats_train",)


def test_a_run_is_neither_written_over_nor_planned_again(tiny, tmp_path):
    write_coco(tmp_path, pictures(5))
    data, out = str(tmp_path / "coco.json"), str(tmp_path / "out")
    plan = plan_for(data, model=tiny, epochs=2, output=out)
    (tmp_path / "out" / run_files.FINAL_CHECKPOINT).touch()
    before = plan.file.read_text()
    with pytest.raises(UserError, match="holds a run: --resume goes on with it"):
        plan_for(data, model=tiny, epochs=3, output=out)
    again = plan_for(data, model=tiny, epochs=3, output=out, resume=True)
    assert again.file == plan.file and plan.file.read_text() == before and not again.is_new
    assert "ignored: --model, --epochs, KEY VALUE at the end" in again.reasons[0]


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_to_begin_anew_changes_nothing_that_the_run_needs(tiny, tmp_path):
    write_coco(tmp_path, pictures(5))
    data, out = str(tmp_path / "coco.json"), tmp_path / "out"
    first = plan_for(data, model=tiny, epochs=2, output=str(out))
    (out / run_files.FINAL_CHECKPOINT).touch()
    run_files.write_run_record(out, str(first.file), 5)
    before = content(out)
    again = plan_for(data, model=tiny, epochs=3, output=str(out), overwrite=True)
    assert content(out).items() > before.items()
    assert again.file == out / "plan-2.yaml"
    assert "plan-2_data" in load_config(again.file).DATASETS.FILES[0][2]
    # The start may have failed; when it has not, the run says what it goes by.
    assert plan_for(data, output=str(out), resume=True).file == first.file
    run_files.write_run_record(out, str(again.file), 8)
    assert plan_for(data, output=str(out), resume=True).file == again.file


def test_a_run_of_another_config_is_told(tmp_path):
    (tmp_path / run_files.FINAL_CHECKPOINT).touch()
    with pytest.raises(UserError, match=r"--config \S+/config\.yaml --resume"):
        plan_for("cats", output=str(tmp_path), resume=True)


def test_the_run_may_lie_in_the_folder_of_the_data(tiny, tmp_path):
    cats = tmp_path / "cats"
    cats.mkdir()
    write_coco(cats, pictures(5))
    flags = {"model": tiny, "epochs": 2, "output": str(cats), "device": "cpu"}
    first = plan_for(str(cats), **flags)
    cfg = load_config(first.file)
    (cats / run_files.CONFIG).write_text(cfg.dump())
    run_files.write_run_record(cats, str(first.file), 5)
    (cats / "coco.json").rename(tmp_path / "coco.json")
    assert plan_for(str(cats), **flags, resume=True).file == first.file
    (tmp_path / "coco.json").rename(cats / "coco.json")
    again = load_config(plan_for(str(cats), **flags, overwrite=True).file)
    assert again.SOLVER.MAX_ITER == cfg.SOLVER.MAX_ITER
    assert not (cats / "data").exists()  # it might be the data's


def test_epochs_among_the_options_are_those_of_the_plan(tiny, tmp_path):
    write_coco(tmp_path, pictures(8))
    options = ["SOLVER.EPOCHS", "3", "TEST.EVAL_PERIOD", "4"]
    plan = plan_for(
        str(tmp_path / "coco.json"), model=tiny, output=str(tmp_path / "out"), options=options
    )
    cfg = load_config(plan.file)
    # 3 x 6 / 2
    assert (cfg.SOLVER.EPOCHS, cfg.SOLVER.MAX_ITER, cfg.TEST.EVAL_PERIOD) == (0, 9, 4)
    with pytest.raises(UserError, match=r"SOLVER\.EPOCHS is -1"):
        plan_for(str(tmp_path / "coco.json"), options=["SOLVER.EPOCHS", "-1"])


def test_boxes_and_wrong_numbers_leave_nothing_behind(tmp_path):
    write_voc_xml(tmp_path, scenes(parts=False, holes=False))
    with pytest.raises(UserError, match="boxes only"):
        plan_for(str(tmp_path), output=str(tmp_path / "out"))
    with pytest.raises(UserError, match="--epochs is 0"):
        plan_for(str(tmp_path), epochs=0)
    with pytest.raises(UserError, match="no key SOLVER\\.BASE_LRR"):
        plan_for(str(tmp_path), options=["SOLVER.BASE_LRR", "1"], output=str(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("**/*.*"))


def test_the_machine():
    machine = this_machine("cpu", 0)
    assert machine.is_cpu and machine.cores >= 1 and machine.processes == 1
    assert this_machine("cpu", 2).processes == 2
