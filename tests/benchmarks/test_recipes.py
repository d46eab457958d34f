"""The harness of recipes: what a name trains, what was learnt, what a row says, and what rivals leave."""

import json
import subprocess
import sys
from pathlib import Path

import pycocotools.mask as mask_util
import pytest
from learned import Learned, compare
from recipe_runs import Run, do_run, our_run, read_recipes, rival_run
from recipe_speeds import in_turns
from recipes import RECIPES, rows_of

from solo.errors import UserError
from tests.toys import registered, square, write_records

KEPT = Path(__file__).parents[2] / "benchmarks" / "kept_detections.py"


def found(left, top, side, image=0, category=0):
    right, bottom = left + side, top + side
    polygon = [[left, top, right, top, right, bottom, left, bottom]]
    rle = mask_util.merge(mask_util.frPyObjects(polygon, 48, 64))
    rle["counts"] = rle["counts"].decode()
    return {"image_id": image, "category_id": category, "score": 0.5, "segmentation": rle}


@pytest.fixture
def squares(tmp_path):
    with registered(write_records(tmp_path, [[square(8, 8, 20), square(40, 8, 20, 1)]])) as name:
        yield name


def test_what_was_learnt(squares):
    whole = compare([found(8, 8, 20), found(40, 8, 20, category=1)], squares)
    assert (whole.ap, whole.boundary, whole.ap75) == pytest.approx((100, 100, 100))
    half = compare([found(8, 8, 20)], squares)
    assert (half.ap, half.boundary) == pytest.approx((50, 50))
    # Two pixels aside: an IoU of 18 / 22 is enough at 7 of 10 limits; the boundaries, 1 pixel wide, do not meet so well.
    aside = compare([found(10, 8, 20), found(40, 8, 20, category=1)], squares)
    assert aside.ap == pytest.approx((70 + 100) / 2) and 50 <= aside.boundary < aside.ap


def test_rows_have_means_ranges_and_ratios(tmp_path):
    def learned(name, seed, ap):
        folder = tmp_path / name / str(seed)
        folder.mkdir(parents=True)
        content = {**Learned(ap, ap / 2, 0, 0, 0, 0, 60, 100)._asdict(), "command": [name]}
        (folder / "learned.json").write_text(json.dumps(content))
        return Run(name, seed, [name], folder, folder / "detections.json", 7)

    runs = [learned("plus", 1, 16.0), learned("plain", 1, 10.0), learned("plain", 2, 11.0)]
    runs += [learned("theirs", 1, 12.0), Run("later", 1, [], tmp_path, tmp_path / "none", 7)]
    plus, plain, theirs = rows_of(runs, {"plus": 250, "plain": 200}, {"plus": 21, "plain": 20})
    assert (plain.seeds, plain.ap, plain.ap_range, plain.boundary) == (
        2,
        10.5,
        "10.0 to 11.0",
        5.25,
    )
    assert (plain.step_ratio, plus.step_ratio, plus.image_ratio) == (1, 1.25, 1.05)
    assert plus.ap_range == "" and (theirs.step_ms, theirs.step_ratio) == (None, None)
    other = runs[0]._replace(command=["another"])
    with pytest.raises(
        UserError, match="is of another command than another: give another --output"
    ):
        rows_of([other], {}, {})


def test_a_shorter_schedule_keeps_its_shares(tmp_path):
    digits = ["DATASETS.TRAIN", '("digits_train",)', "DATASETS.TEST", '("digits_val",)']
    keys = {"config": "recipes/solov2_R_18_FPN", "SOLVER.EMA.ENABLED": True}
    run = our_run("a name", keys, 3, output=tmp_path, iters=180, opts=digits)
    pairs = run.command[run.command.index("SOLVER.EMA.ENABLED") :]
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    assert options["SOLVER.EMA.ENABLED"] == "True" and run.folder == tmp_path / "a_name" / "seed3"
    assert options["SOLVER.MAX_ITER"] == "180" and options["SOLVER.STEPS"] == "(135, 166)"
    assert options["SOLVER.WARMUP_ITERS"] == "20" and options["SEED"] == "3"
    assert options["MODEL.SOLO.DYNAMIC.WARMUP_ITERS"] == "50"


def test_an_unknown_recipe():
    name, keys = read_recipes(RECIPES, [])[0]
    assert name == "plain" and keys == {"config": "recipes/solov2_R_18_FPN"}
    with pytest.raises(UserError, match="no recipe plein; it has plain, "):
        read_recipes(RECIPES, ["plein"])


def test_a_rival_is_run_once_and_a_failure_is_told(tmp_path, squares):
    detections = [found(8, 8, 20), found(40, 8, 20, category=1)]
    detections[0]["segmentation"]["counts"] = detections[0]["segmentation"]["counts"].encode()
    script = tmp_path / "rival.py"
    script.write_text(
        "import sys, json\nfrom pycocotools.coco import COCO\nassert sys.argv[1:] == ['7']\n"
        "truth = COCO()\ntruth.dataset = {'images': [{'id': 0}], 'categories': []}\ntruth.createIndex()\n"
        f"truth.loadRes({detections})\n"
    )
    given = {"output": tmp_path, "data": "", "iters": 7}
    run = rival_run(f"a rival={sys.executable} {script} {{iters}}", 1, **given)
    do_run(run, squares)
    learned = run.learned()
    assert learned.ap == pytest.approx(100) and learned.run_s > 0 and learned.peak_mb > 1
    script.write_text("raise SystemExit(3)")
    do_run(run, squares)  # it was done
    with pytest.raises(UserError, match=r"a rival, seed 2, failed: see .*console\.txt"):
        do_run(rival_run(f"a rival={sys.executable} {script}", 2, **given), squares)


def test_turns():
    calls = []
    times = in_turns([lambda: calls.append("a"), lambda: calls.append("b")], 2)
    assert calls == ["a", "b"] * 3 and len(times) == 2 and min(times) > 0


def test_what_is_run_to_keep_detections_needs_no_more_than_pycocotools(tmp_path):
    script = tmp_path / "names.py"
    script.write_text(
        "import sys\nprint(*(name for name in ('solo', 'torch') if name in sys.modules))"
    )
    command = [sys.executable, str(KEPT), str(tmp_path / "a.json"), str(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == ""
