"""The page about a run: of a tiny model from end to end, and of predictors that are known."""

import html
import json
import re

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.checkpoint.run_files import write_run_record
from solo.cli.main import main
from solo.inference import Predictor
from solo.inference.datasets import evaluate_predictor
from solo.report import pages
from tests.conftest import build
from tests.report.known_predictor import Perfect
from tests.toys import registered, square, toy_cfg, write_config, write_records

NAMES = ["red", "<b>green</b>", "blue"]


@pytest.fixture
def dataset(tmp_path):
    images = [[square(4, 4, 12), square(24, 8, 30 - index, index % 3)] for index in range(4)]
    with registered(write_records(tmp_path, images)) as name:
        MetadataCatalog.get(name).thing_classes[:] = NAMES
        yield name


@pytest.fixture
def run(tmp_path, dataset):
    """A run of the toy model, whose scores are low."""
    folder = tmp_path / "run <1>"
    folder.mkdir()
    cfg = toy_cfg(dataset)
    cfg.DATASETS.TEST = (dataset,)
    cfg.INPUT.MIN_SIZE_TEST = 48
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.005
    write_config(cfg, folder)
    torch.save({"model": build(cfg).state_dict()}, folder / "model_final.pth")
    lines = [{"iteration": i, "total_loss": 2.0 - i, "lr": 0.1, "segm/AP": 5.0} for i in (0, 1)]
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, lines)))
    write_run_record(folder, "configs/toy.yaml", 40_000)
    return folder


@pytest.fixture
def perfect(run, dataset, monkeypatch):
    found = Perfect(DatasetCatalog.get(dataset))
    monkeypatch.setattr(pages.Predictor, "from_config", lambda *args, **kwargs: found)
    return run


def words(page):
    """What people read."""
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def test_a_run_from_end_to_end(run, dataset):
    main(["report", str(run)])
    page = (run / "report.html").read_text()
    assert len(page) < 5e6
    # ":" and "<" are no letters of base64.
    assert "://" not in page and "<script" not in page and "<link" not in page
    sources = re.findall(r'src="([^"]{11})', page)
    # Curves, precision, counts, four images, and an example of one kind at least.
    assert len(sources) >= 8 and set(sources) == {"data:image/"}
    text = words(page)
    assert (
        "Config toy.yaml" in text
        and "2 of 40,000 iterations" in text
        and "4 images, 8 objects" in text
    )

    predictor = Predictor.from_config(run / "config.yaml", str(run / "model_final.pth"))
    expected = evaluate_predictor(predictor, dataset)
    for task, table in expected.items():
        assert f"{task} {table['AP']:.1f} {table['AP50']:.1f} {table['AP75']:.1f}" in text


def test_a_model_without_errors(perfect, tmp_path):
    output = tmp_path / "new" / "page.html"
    main(["report", str(perfect), "--output", str(output)])
    text = words(output.read_text())
    assert "mask AP 100.0" in text and "objects found 100% 8 of 8" in text
    assert text.count("There is none.") == 7
    assert "1.00 0.png: found 2 of 2, with 2 predictions" in text


def test_boundaries_have_a_tile_a_row_and_a_column(perfect, capsys):
    pages.Predictor.from_config().tasks = ("bbox", "segm", "boundary")
    main(["report", str(perfect)])
    text = words((perfect / "report.html").read_text())
    assert "mask AP 100.0 boundary AP 100.0 box AP 100.0" in text
    assert "boundary 100.0 100.0 100.0" in text and "box AP boundary AP AP50 AP75 mask AP" in text
    assert "but for the column of boundaries and that of boxes." in text
    assert re.search(r"^boundary +100\.0 +100\.0 +100\.0 ", capsys.readouterr().out, re.MULTILINE)


def test_the_page_says_what_it_counts(perfect):
    main(["report", str(perfect)])
    text = words((perfect / "report.html").read_text())
    assert "Finds all objects; none of the predictions are wrong, at threshold" in text
    assert "Nothing goes wrong." in text and "Next: solo predict photo.jpg --model" in text
    assert "0 second labels are left out" in text
    assert "No class is taken for another." in text
    # Of four images, all are the first ones.
    assert "Not measured: the first images are slower" in text


def test_every_picture_opens(perfect):
    main(["report", str(perfect)])
    page = (perfect / "report.html").read_text()
    opened = re.findall(r'popovertarget="([^"]+)"', page)
    assert len(set(opened)) == len(opened) == page.count("<img ") > 4
    assert opened == re.findall(r'<div popover class="picture" id="([^"]+)"', page)


def test_what_the_command_prints(perfect, capsys):
    main(["report", str(perfect)])
    told = capsys.readouterr().out
    assert told.startswith("Finds all objects") and told.count("AP50") == 1
    assert re.search(r"^mask +100\.0 +100\.0 +100\.0 ", told, re.MULTILINE) and "\nred " in told
    assert f"written: {perfect / 'report.html'}\nnext: solo predict photo.jpg --model" in told


def test_nothing_of_a_run_is_taken_for_html(perfect):
    main(["report", str(perfect)])
    page = (perfect / "report.html").read_text()
    assert "<b>green" not in page and "&lt;b&gt;green" in page
    assert "<1>" not in page and "run &lt;1&gt;" in page


def test_less_than_a_whole_run(perfect):
    (perfect / "metrics.json").unlink()
    (perfect / "run.json").unlink()
    main(["report", str(perfect), "--num-images", "1"])
    text = words((perfect / "report.html").read_text())
    assert "there are no curves" in text and "Config" not in text
    assert "1 of 4 images, 2 objects" in text


@pytest.mark.parametrize(
    ("missing", "more", "sentence"),
    [
        ("config.yaml", [], "has no config.yaml"),
        ("model_final.pth", [], "has no checkpoint yet"),
        ("", ["--weights", "no.pth"], "no checkpoint no.pth"),
        ("", ["--dataset", "no_such_set"], "no data set 'no_such_set'"),
        ("", ["--num-images", "0"], "0 images"),
        ("", ["--output", "page.pdf"], "ends in .html"),
        ("", ["--output", "/proc/page.html"], "/proc cannot be written to"),
    ],
)
def test_errors_are_one_sentence(perfect, missing, more, sentence):
    if missing:
        (perfect / missing).unlink()
    with pytest.raises(SystemExit, match=sentence) as info:
        main(["report", str(perfect), *more])
    assert str(info.value).startswith("error: ") and "\n" not in str(info.value)


def test_no_held_out_data(perfect, dataset):
    write_config(toy_cfg(dataset), perfect)
    with pytest.raises(SystemExit, match="name a data set with --dataset"):
        main(["report", str(perfect)])


def test_images_without_objects(perfect, tmp_path):
    (tmp_path / "empty").mkdir()
    with (
        registered(write_records(tmp_path / "empty", [[], []])) as name,
        pytest.raises(SystemExit, match="None of the 2 images"),
    ):
        main(["report", str(perfect), "--dataset", name])


def test_a_data_set_with_other_classes(perfect, dataset):
    del MetadataCatalog.get(dataset).thing_classes[2]
    with pytest.raises(SystemExit, match="The model has 3 classes"):
        main(["report", str(perfect)])
