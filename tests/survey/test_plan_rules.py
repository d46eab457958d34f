"""Each choice with numbers by hand."""

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.survey.choices_file import Draft
from solo.survey.data_entries import DataEntries
from solo.survey.plan_rules import Machine, choose_all
from solo.survey.starting_point import StartingPoint, Trained
from tests.conftest import make_cfg
from tests.data.formats.conftest import forget  # noqa: F401
from tests.toys import square, write_config

CPU = Machine("cpu", 2)


@pytest.fixture
def write(tmp_path):
    """Return a function that registers squares on small images, of which many may be the same file."""

    def write(number=240, sides=(20,), size=(96, 128)):
        path = tmp_path / "image.png"
        cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))
        items = [square(30 * place, 10, side) for place, side in enumerate(sides)]
        records = [
            {
                "file_name": str(path),
                "image_id": index,
                "height": size[0],
                "width": size[1],
                "annotations": items,
            }
            for index in range(number)
        ]
        DatasetCatalog.register("cats_train", lambda: records)
        MetadataCatalog.get("cats_train").set(thing_classes=["cat"])
        return DataEntries(("cats_train",), ("cats_train",), ["cat"], records, 60, ["a note"])

    return write


@pytest.fixture
def choose(tmp_path, monkeypatch):
    """Return a function that chooses over a tiny model, and returns what was chosen."""
    monkeypatch.setattr("solo.survey.plan_rules._SURVEYED", 8)
    # The data are registered already.
    monkeypatch.setattr("solo.survey.plan_rules.register_coco_json", lambda cfg: None)

    def choose(data, *options, machine=CPU, epochs=None, trained=Trained.ALL, **keys):
        cfg = make_cfg()
        cfg.SOLVER.BASE_LR, cfg.SOLVER.WARMUP_ITERS = 0.01, 500
        cfg.SOLVER.MAX_ITER, cfg.SOLVER.STEPS = 270_000, (202_500, 247_500)
        cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (96, 128), 256
        cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 128, 256
        cfg.merge_from_list(
            [word for key, value in keys.items() for word in (key.replace("__", "."), value)]
        )
        start = StartingPoint(str(write_config(cfg, tmp_path)), "", trained, "why")
        draft = Draft(start.config(), options)
        choose_all(draft, data, start, machine, epochs)
        return draft

    return choose


def reasons(draft):
    return "\n".join(choice.reason for choice in draft.choices)


def test_batch_rate_and_length(write, choose):
    draft = choose(write(240), epochs=50)
    solver = draft.cfg.SOLVER
    assert solver.IMS_PER_BATCH == 4 and solver.BASE_LR == 0.0025
    # 50 x 240 / 4; of 270,000 the steps are at 3/4 and 11/12.
    assert solver.MAX_ITER == 3000 and solver.STEPS == (2250, 2750)
    assert solver.WARMUP_ITERS == 150
    assert solver.CHECKPOINT_PERIOD == draft.cfg.TEST.EVAL_PERIOD == 300
    assert draft.cfg.DATALOADER.NUM_WORKERS == 1
    told = reasons(draft)
    assert "batch 4: 240 images, the CPU" in told
    assert "learning rate 0.0025 = 0.01 x 4 / 16" in told
    assert "50 epochs of 240 images are 3,000 iterations" in told
    assert "75%, 92% of the iterations" in told and "a note" in told


@pytest.mark.parametrize(("images", "batch"), [(1, 2), (7, 2), (11, 2), (12, 4), (240, 4)])
def test_a_small_set_has_small_batches(images, batch, write, choose):
    solver = choose(write(images)).cfg.SOLVER
    assert solver["IMS_PER_BATCH"] == batch


@pytest.mark.parametrize(
    ("trained", "images", "on_cpu", "epochs"),
    [
        # 24,000 / 240; a quarter on a CPU.
        (Trained.ALL, 240, False, 100),
        (Trained.ALL, 240, True, 25),
        (Trained.ALL, 10, False, 300),
        (Trained.ALL, 20_000, False, 12),
        (Trained.BACKBONE, 480, False, 100),
        (Trained.BACKBONE, 20_000, False, 24),
        (Trained.NOTHING, 720, False, 100),
        (Trained.NOTHING, 2000, False, 36),
    ],
)
def test_epochs_follow_from_the_number_of_images(trained, images, on_cpu, epochs, write, choose):
    machine = CPU if on_cpu else Machine("cuda", 8, gib=80)
    draft = choose(write(images), machine=machine, trained=trained)
    told = reasons(draft)
    assert f"\n{epochs} epochs of {images:,} images are" in told and "so that" in told
    solver = draft.cfg.SOLVER
    assert solver.MAX_ITER - 1 < epochs * images / solver.IMS_PER_BATCH <= solver.MAX_ITER


@pytest.mark.parametrize(
    ("gib", "processes", "batch"),
    # 2.5 GiB a megapixel x 800 x 1333 are 2.67 GiB an image; three quarters of the memory are used.
    [(2, 1, 1), (8, 1, 2), (24, 1, 4), (80, 1, 16), (24, 2, 8), (24, 3, 15), (2, 8, 8)],
)
def test_the_batch_fits_into_the_memory_of_the_gpus(gib, processes, batch, write, choose):
    machine = Machine("cuda", 16, gib, processes)
    data = write(1000, size=(800, 1000), sides=(200,))
    options = {"INPUT__MIN_SIZE_TRAIN": (800,), "INPUT__MAX_SIZE_TRAIN": 1333}
    solver = choose(data, machine=machine, **options).cfg.SOLVER
    assert solver["IMS_PER_BATCH"] == batch
    assert solver["BASE_LR"] == pytest.approx(0.01 * batch / 16, rel=0.01)


@pytest.mark.parametrize(
    ("images", "width", "norm"), [(240, 32, "BN"), (4, 32, "GN"), (4, 8, "BN")]
)
def test_from_scratch_nothing_is_frozen(images, width, norm, write, choose):
    parts = ("RESNETS__STEM_OUT_CHANNELS", "RESNETS__RES2_OUT_CHANNELS", "FPN__OUT_CHANNELS")
    widths = {f"MODEL__{part}": width for part in (*parts, "RESNETS__WIDTH_PER_GROUP")}
    draft = choose(write(images), trained=Trained.NOTHING, MODEL__BACKBONE__FREEZE_AT=2, **widths)
    cfg = draft.cfg
    assert cfg.MODEL.BACKBONE.FREEZE_AT == 0
    assert cfg.MODEL.RESNETS["NORM"] == norm
    assert cfg.SOLVER.OPTIMIZER == "AdamW" and cfg.SOLVER.LR_SCHEDULER_NAME == "WarmupCosineLR"
    # That of AdamW, 0.001, is for 8 images.
    assert cfg.SOLVER.BASE_LR == 0.001 * cfg.SOLVER.IMS_PER_BATCH / 8


def test_what_follows_from_what_the_user_gives(write, choose):
    draft = choose(
        write(240),
        "SOLVER.IMS_PER_BATCH",
        "8",
        "SOLVER.MAX_ITER",
        "1000",
        "SOLVER.WARMUP_ITERS",
        "7",
    )
    solver = draft.cfg.SOLVER
    assert (solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER) == (8, 0.005, 1000)
    assert solver.STEPS == (750, 917) and solver.WARMUP_ITERS == 7
    assert draft.cfg.TEST.EVAL_PERIOD == 100
    assert "iterations so that" not in reasons(draft) and "warm-up" not in reasons(draft)


def test_what_fits_stays(write, choose):
    draft = choose(write(sides=(20, 24)))
    changed = {key for choice in draft.choices for key in choice.settings}
    assert not {
        key for key in changed if key.startswith(("INPUT", "MODEL.SOLO.S", "MODEL.SOLO.NUM_G"))
    }
    # At 96 and 128 pixels of the 96 that the images are high.
    assert "levels as they are: objects of 20 to 32 pixels" in reasons(draft)


def test_small_images_are_enlarged_twice_at_most(write, choose):
    # 48 pixels become 128 at test: 2.7 times. 96 are twice as many.
    draft = choose(write(size=(48, 64)))
    node = draft.cfg.INPUT
    assert (node.MIN_SIZE_TEST, node.MAX_SIZE_TEST) == (96, 192)
    # 96 x 96 / 128, in steps of 32.
    assert tuple(node.MIN_SIZE_TRAIN) == (96, 96) and node.MAX_SIZE_TRAIN == 192
    assert "48 x 64 pixels (median) would be enlarged 2.7 times" in reasons(draft)


def test_small_objects_make_larger_images(write, choose):
    # 8 pixels become 8 and 10.7: twice as large, at most.
    draft = choose(write(sides=(8, 8)))
    node = draft.cfg.INPUT
    assert tuple(node.MIN_SIZE_TRAIN) == (192, 256) and node.MIN_SIZE_TEST == 256
    assert "so that 90 % of the objects measure 16 pixels" in reasons(draft)


def test_levels_that_leave_objects_out_are_replaced(write, choose):
    ranges = [[1, 8], [7, 10], [9, 12], [11, 14], [13, 16]]
    draft = choose(write(sides=(20, 24)), MODEL__SOLO__SCALE_RANGES=ranges)
    node = draft.cfg.MODEL.SOLO
    assert node.SCALE_RANGES[0][0] == 1
    assert node.SCALE_RANGES[-1][1] > 100 and len(node.NUM_GRIDS) == 5
    assert "levels: 100% of the objects would have no cell" in reasons(draft)


def test_crowds_of_objects_make_finer_grids(write, choose):
    draft = choose(write(sides=(28, 28, 28, 28)), MODEL__SOLO__NUM_GRIDS=[2, 2, 2, 2, 2])
    assert draft.cfg.MODEL.SOLO.NUM_GRIDS[0] > 2
    assert "of the cells would have to find several objects" in reasons(draft)


@pytest.mark.parametrize(
    ("trained", "meta_architecture", "stay"),
    [(Trained.ALL, "SOLO", True), (Trained.NOTHING, "SOLO", False), (Trained.ALL, "SOLOv2", False)],
)
def test_grids_stay_where_trained_weights_are_for_them(
    trained, meta_architecture, stay, write, choose
):
    ranges = [[1, 8], [7, 10], [9, 12], [11, 14], [13, 16]]
    keys = {"MODEL__SOLO__SCALE_RANGES": ranges, "MODEL__META_ARCHITECTURE": meta_architecture}
    draft = choose(write(sides=(20, 24)), trained=trained, **keys)
    node = draft.cfg.MODEL.SOLO
    assert ranges != node.SCALE_RANGES
    assert (node.NUM_GRIDS == [8, 7, 5, 4, 3]) is stay
    assert ("the grids stay" in reasons(draft)) is stay


def test_epochs_of_the_base_do_not_stand_above_the_plan(write, choose):
    draft = choose(write(240), epochs=5, SOLVER__EPOCHS=50.0)
    assert draft.cfg.SOLVER.EPOCHS == 0 and draft.cfg.SOLVER.MAX_ITER == 300
    assert any("SOLVER.EPOCHS" in choice.settings for choice in draft.choices)
