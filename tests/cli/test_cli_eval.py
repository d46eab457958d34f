"""`solo eval`, from its arguments to its tables: of a checkpoint, of an export, on data of one's own."""

import json

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.cli.main import main
from solo.export.export import ExportRequest, export_model
from tests.conftest import build
from tests.toys import registered, square, toy_cfg, write_config, write_records
from tests.yolox.conftest import make_yolox_cfg

NAMES = ["red", "green", "blue"]


@pytest.fixture
def cfg():
    with registered([]) as name:
        cfg = toy_cfg(name)
        cfg.INPUT.MIN_SIZE_TEST = 48
        cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.005
        cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
        yield cfg


@pytest.fixture
def own(tmp_path):
    """Two images of one's own, annotated in COCO's format; forgotten after the test."""
    images = [[square(4, 4, 20)], [square(9, 9, 20, 1)]]
    path = write_coco(tmp_path / "val.json", write_records(tmp_path, images), NAMES)
    yield ["--annotations", str(path), "--images", str(tmp_path)]
    forget(path)


def forget(path):
    if str(path) in DatasetCatalog:
        DatasetCatalog.remove(str(path))
        MetadataCatalog.remove(str(path))


def write_coco(path, records, names):
    images = [
        {"id": r["image_id"], "file_name": r["file_name"].rpartition("/")[2]}
        | {side: r[side] for side in ("height", "width")}
        for r in records
    ]
    annotations = [
        {
            "image_id": r["image_id"],
            **a,
            "category_id": a["category_id"] + 1,
            "id": r["image_id"] + 1,
        }
        for r in records
        for a in r["annotations"]
    ]
    for annotation in annotations:
        del annotation["bbox"], annotation["bbox_mode"]
    categories = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def model(cfg, tmp_path):
    """A tiny untrained model."""
    torch.save({"model": build(cfg).state_dict(), "class_names": NAMES}, tmp_path / "model.pth")
    config = write_config(cfg, tmp_path)
    return ["--config", str(config), "--weights", str(tmp_path / "model.pth"), "--device", "cpu"]


def test_prints_the_tables_and_says_what_it_wrote(model, own, tmp_path, capsys):
    output, numbers = tmp_path / "out", tmp_path / "new" / "numbers.json"
    assert main(["eval", *model, *own, "--output", str(output), "--json", str(numbers)]) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert ["AP", "AP50", "AP75", "APs", "APm", "APl", "F1", "threshold"] in lines
    assert [line[0] for line in lines if line][-6:-1] == ["class", *NAMES, "written:"]
    assert printed.index("mask ") < printed.index("box ")
    assert f"predictions and log.txt in {output}" in printed and f"written: {numbers}" in printed
    assert "Found the instances of" in (output / "log.txt").read_text()
    assert (output / "coco_instances_results.json").is_file()
    written = json.loads(numbers.read_text())
    assert 0 <= written["segm"]["AP"] <= 100 and written["bbox"]["AP-red"] >= 0
    assert written["segm"]["AP-blue"] is None  # there is none
    assert (written["images"], written["dataset"]) == (2, own[1])
    assert written["model"]["weights"] == str(tmp_path / "model.pth")
    assert written["date"][:2] == "20" and written["versions"]["torch"] == torch.__version__


def test_boundaries_by_a_flag_or_a_key(model, own, tmp_path, capsys):
    numbers = []
    for words in (["--boundary"], ["TEST.BOUNDARY_AP", "True"]):
        assert main(["eval", *model, *own, "--json", str(tmp_path / "json"), *words]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert [line[0] for line in lines if len(line) > 6][:4] == ["AP", "mask", "boundary", "box"]
        assert ["class", "mask", "AP", "boundary", "AP", "box", "AP"] in lines
        numbers.append(json.loads((tmp_path / "json").read_text()))
        assert numbers[-1]["boundary"].keys() == numbers[-1]["segm"].keys() - {"F1", "threshold"}
    assert numbers[0]["boundary"] == numbers[1]["boundary"]


def test_boundaries_of_boxes_are_refused(own, tmp_path):
    cfg = make_yolox_cfg()
    torch.save({"model": build(cfg).state_dict(), "class_names": NAMES}, tmp_path / "boxes.pth")
    model = ["--config", str(write_config(cfg, tmp_path)), "--weights", str(tmp_path / "boxes.pth")]
    with pytest.raises(SystemExit, match="finds boxes alone: leave out --boundary"):
        main(["eval", *model, *own, "--boundary"])
    with pytest.raises(SystemExit, match=r"BOUNDARY_AP is of masks, and YOLOX finds boxes alone"):
        main(["eval", *model, *own, "TEST.BOUNDARY_AP", "True"])


def test_the_data_set_of_the_config(model, own, tmp_path, capsys):
    path, folder = own[1::2]
    given = ["DATASETS.FILES", f"[['mine_val', 'coco', '{path}', '{folder}']]"]
    words = ["eval", *model, "--num-images", "1", "--json", "-", *given]
    assert main([*words, "DATASETS.TEST", "('mine_val',)"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert (written["images"], written["dataset"]) == (1, "mine_val")
    with pytest.raises(SystemExit, match="names mine_val, other: name one with --dataset"):
        main([*words, "DATASETS.TEST", "('mine_val', 'other')"])
    forget("mine_val")


def test_the_part_of_a_data_set_that_is_to_evaluate_with(model, tmp_path, capsys):
    paths = {}
    for part, images in {"train": 2, "val": 1}.items():
        (tmp_path / "cats" / part).mkdir(parents=True)
        records = write_records(tmp_path / "cats" / part, [[square(4, 4, 20)]] * images)
        paths[part] = write_coco(tmp_path / "cats" / part / f"{part}.json", records, NAMES)
    for named, part in {"": "val", "train": "train"}.items():
        data = str(tmp_path / "cats" / named)
        assert main(["eval", *model, "--data", data, "--json", "-"]) == 0
        written = json.loads(capsys.readouterr().out)
        assert written["dataset"] == str(paths[part])
        assert written["images"] == {"val": 1, "train": 2}[part]
    with pytest.raises(SystemExit, match="holds the annotations: write to another file"):
        main(["eval", *model, "--data", str(tmp_path / "cats"), "--json", str(paths["val"])])
    for path in paths.values():
        forget(path)


@pytest.mark.slow
def test_an_export_on_data_of_ones_own(model, own, tmp_path, capsys):
    request = ExportRequest(config_file=model[1], weights=model[3], output=tmp_path / "exported")
    file = str(export_model(request).path)
    numbers = {}
    for name, words in {"checkpoint": model, "export": ["--model", file]}.items():
        assert main(["eval", *words, *own, "--boundary", "--json", str(tmp_path / name)]) == 0
        numbers[name] = json.loads((tmp_path / name).read_text())
    for task in ("segm", "bbox", "boundary"):
        assert numbers["export"][task] == pytest.approx(numbers["checkpoint"][task], abs=0.1)
    assert numbers["export"]["model"] == {"name": "model", "onnx": file}

    # With the classes in another order, and one more that has no objects.
    records = write_records(tmp_path, [[square(4, 4, 20, 3)], [square(9, 9, 20, 1)]])
    path = write_coco(tmp_path / "turned.json", records, ["blue", "green", "cat", "red"])
    turned = ["--annotations", str(path), "--images", str(tmp_path)]
    capsys.readouterr()
    assert main(["eval", "--onnx", file, *turned, "--json", str(tmp_path / "turned")]) == 0
    result = json.loads((tmp_path / "turned").read_text())["segm"]
    assert {name: result[name] for name in ("AP", "AP-red", "AP-green")} == {
        name: numbers["export"]["segm"][name] for name in ("AP", "AP-red", "AP-green")
    }
    forget(path)
    path = write_coco(tmp_path / "strange.json", records, ["blue", "green", "cat", "dog"])
    with pytest.raises(SystemExit, match=r"objects of classes that the model lacks, dog \(1\)"):
        main(["eval", "--onnx", file, "--annotations", str(path), "--images", str(tmp_path)])
    forget(path)
    with pytest.raises(SystemExit, match=r"^error: An exported model names no data set"):
        main(["eval", "--onnx", file])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--dataset", "no_such_set"], "There is no data set 'no_such_set'"),
        (["--annotations", "none.json"], "--annotations PATH and --images DIR go together"),
        (["--annotations", "none.json", "--images", "."], r"none\.json"),
        (["--annotations", "a.json", "--images", ".", "--dataset", "b"], "give one of them"),
        (["--data", ".", "--annotations", "a.json", "--images", "."], "give one of them"),
        (["--data", ".", "--dataset", "b"], "give one of them"),
        (["--data", "none"], "none"),
        (["--weights", "none.pth"], r"none\.pth"),
        (["--num-images", "0"], "ask for 1 at least"),
        (["--tiles", "8"], "give 32 pixels or more"),
        (["--json", "."], r"--json \. is a folder"),
        (["--output", "/proc/out"], "/proc/out cannot be written to"),
        (["MODEL.NO_SUCH_KEY", "1"], r"MODEL\.NO_SUCH_KEY"),
        (["DATASETS.TEST", "()"], "is empty: name one with --dataset"),
    ],
)
def test_errors_are_one_sentence(model, own, more, words):
    data = [] if {"--annotations", "--data", "--dataset", "DATASETS.TEST"} & set(more) else own
    with pytest.raises(SystemExit, match=f"^error: .*{words}"):
        main(["eval", *model, *data, *more])


@pytest.mark.parametrize("more", [["--weights", "w.pth"], ["--device", "cpu"], ["SEED", "3"]])
def test_an_exported_file_holds_everything(more, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["eval", "--onnx", "model.onnx", "--dataset", "digits_val", *more])
    assert "holds weights and config: leave out --weights" in capsys.readouterr().err
