"""The class for users, on a tiny model and on a backend that is known."""

import json

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.structures import BitMasks, Instances

from solo import model_zoo
from solo.config.load import inference_config
from solo.errors import UserError
from solo.inference import Predictor, TileRule
from solo.inference.torch_backend import TorchBackend
from solo.structures.run_lengths import encode_masks
from tests.export.conftest import PICTURES, lively_cfg, lively_model


class Bright:
    """Finds the bright part of an image, as class 1, and remembers what it was given."""

    class_names = ("zero", "one")
    category_ids = (10, 11)
    threshold = 0.1

    def __init__(self):
        self.images = []

    def find(self, images, least=0.0):
        self.images += images
        return [self.find_in(image) for image in images]

    @staticmethod
    def find_in(image):
        masks = BitMasks(torch.from_numpy(image[None, :, :, 0] > 100))
        found = Instances(
            image.shape[:2],
            pred_boxes=masks.get_bounding_boxes(),
            scores=torch.tensor([0.123456789]),
            pred_classes=torch.tensor([1]),
            pred_masks=masks.tensor,
        )
        return found[masks.nonempty()]


def picture():
    """20 x 30 pixels, of which 4 x 6 are bright."""
    image = np.zeros((20, 30, 3), np.uint8)
    image[2:6, 10:16] = 200
    return image


def test_plain_python():
    predictor = Predictor(Bright())
    (record,) = json.loads(json.dumps(predictor.to_dicts(predictor(picture()))))
    rle = record.pop("segmentation")
    assert record == {
        "category_id": 11,
        "category_name": "one",
        "score": 0.12346,
        "bbox": [10, 2, 6, 4],
    }
    assert isinstance(rle["counts"], str)
    assert (mask_util.decode(rle) == (picture()[:, :, 0] > 100)).all()


def test_plain_python_of_rle_and_of_nothing():
    predictor = Predictor(Bright())
    found = predictor(picture())
    expected = predictor.to_dicts(found)
    assert predictor.to_dicts(found[:0]) == []
    # As the model gives it where MASK_FORMAT is "rle".
    masks = found.pred_masks
    found.remove("pred_masks")
    found.pred_rles = encode_masks(masks)
    assert predictor.to_dicts(found) == expected


def test_class_names_may_be_unknown():
    backend = Bright()
    backend.class_names = ()
    predictor = Predictor(backend)
    assert predictor.to_dicts(predictor(picture()))[0]["category_name"] == "class 1"


def test_a_batch_keeps_its_order():
    predictor = Predictor(Bright())
    images = [picture(), picture()[:15], picture()[:, :25]]
    assert [each.image_size for each in predictor.batch(images)] == [(20, 30), (15, 30), (20, 25)]
    assert predictor.batch([]) == []


def test_tiles_of_large_images():
    backend = Bright()
    predictor = Predictor(backend, tiles=TileRule(size=32))
    large = np.zeros((40, 80, 3), np.uint8)
    large[10:14, 20:60] = 200
    small, found = predictor.batch([picture(), large])
    assert small.image_size == (20, 30) and len(small) == 1
    assert found.image_size == (40, 80)
    assert found.pred_boxes.tensor.tolist() == [[20, 10, 60, 14]]
    shapes = [image.shape for image in backend.images]
    assert shapes[0] == (20, 30, 3) and len(shapes) > 4
    assert max(max(shape) for shape in shapes) == 32


def test_gray_and_alpha():
    backend = Bright()
    predictor = Predictor(backend)
    gray = picture()[:, :, 0]
    for image in (gray, gray[:, :, None], np.dstack([gray] * 3), np.dstack([gray] * 4)):
        predictor(image)
    for image in backend.images:
        assert np.array_equal(image, np.dstack([gray] * 3))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        None,
    ],
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match="An image must be"):
        Predictor(Bright()).batch([picture(), image])


def test_an_array_is_no_list_of_images():
    predictor = Predictor(Bright())
    with pytest.raises(ValueError, match=r"list of images, not an array \(20, 30, 3\)"):
        predictor.batch(picture())
    assert len(predictor.batch(np.stack([picture(), picture()]))) == 2


@pytest.fixture
def files(tmp_path):
    """The config and the weights of a tiny model that finds things."""
    cfg = lively_cfg("SOLOv2")
    content = {"model": lively_model(cfg).state_dict(), "class_names": ["a", "b", "c"]}
    torch.save(content, tmp_path / "model.pth")
    (tmp_path / "config.yaml").write_text(cfg.dump())
    return str(tmp_path / "config.yaml"), str(tmp_path / "model.pth")


def test_a_batch_of_mixed_sizes_gives_each_image_what_it_gets_alone(files):
    backend = TorchBackend(inference_config(*files, device="cpu"))
    # In float32 a batch may round otherwise than an image, and a pixel lie on either side of the threshold.
    backend.model.double()
    predictor = Predictor(backend)
    images = [*PICTURES, PICTURES[0][:, ::-1]]
    for image, found in zip(images, predictor.batch(images, threshold=0), strict=True):
        alone = predictor(image, threshold=0)
        assert len(found) == len(alone) > 3
        torch.testing.assert_close(found.scores, alone.scores)
        assert torch.equal(found.pred_classes, alone.pred_classes)
        assert torch.equal(found.pred_masks, alone.pred_masks)


def test_the_options_reach_the_config(files):
    config_file, weights = files
    opts = ["MODEL.WEIGHTS", weights, "MODEL.SOLO.TEST.MASK_FORMAT", "rle"]
    predictor = Predictor.from_config(config_file, device="cpu", opts=opts)
    found = predictor(np.zeros((40, 60, 3), np.uint8))
    assert found.has("pred_rles") and not found.has("pred_masks")
    assert predictor.class_names == ("a", "b", "c")
    assert predictor.category_ids == (0, 1, 2)


def test_the_model_zoo(files, monkeypatch):
    config_file, weights = files
    monkeypatch.setattr(model_zoo, "get_config_file", {"coco/tiny.yaml": config_file}.get)
    predictor = Predictor.from_model_zoo("coco/tiny.yaml", weights, device="cpu")
    assert predictor.class_names == ("a", "b", "c")
    by_option = Predictor.from_model_zoo("coco/tiny.yaml", opts=["MODEL.WEIGHTS", weights])
    assert by_option.class_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="No weights are published for solo://coco/tiny"):
        Predictor.from_model_zoo("coco/tiny.yaml", device="cpu")


def test_an_unknown_config_is_named():
    with pytest.raises(ValueError, match=r"no config 'coco/none\.yaml'"):
        Predictor.from_model_zoo("coco/none.yaml", "model.pth")


def test_a_missing_onnx_file_is_named(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    with pytest.raises(FileNotFoundError, match=r"none\.onnx: no such file"):
        Predictor.from_onnx(tmp_path / "none.onnx")


class Twice(Bright):
    """Finds the bright part twice, under two names, and a dark strip on the left that it is not sure of."""

    def find_in(self, image):
        dark = np.zeros_like(image[:, :, 0], dtype=bool)
        dark[:, :2] = True
        bright = image[:, :, 0] > 100
        masks = BitMasks(torch.from_numpy(np.stack([bright, bright, dark])))
        return Instances(
            image.shape[:2],
            pred_boxes=masks.get_bounding_boxes(),
            scores=torch.tensor([0.9, 0.8, 0.2]),
            pred_classes=torch.tensor([1, 0, 0]),
            pred_masks=masks.tensor,
        )


def test_each_object_once_from_the_threshold_on():
    backend = Twice()
    backend.threshold = 0.5
    predictor = Predictor(backend)
    assert predictor.threshold == 0.5 and predictor.is_evaluated
    assert predictor(picture()).scores.tolist() == pytest.approx([0.9])
    assert predictor(picture(), threshold=0.1).scores.tolist() == pytest.approx([0.9, 0.2])
    (found,) = predictor.batch([picture()], threshold=0)
    assert found.pred_classes.tolist() == [1, 0]
    assert predictor.raw(picture()).scores.tolist() == pytest.approx([0.9, 0.8, 0.2])


def test_where_a_threshold_comes_from_is_told():
    backend = Twice()
    backend.threshold = 0.42
    assert Predictor(backend).tell_threshold() == (
        "threshold 0.42, of the best F1 in the model's own evaluation"
    )
    assert Predictor(backend).tell_threshold(0.5) == "threshold 0.5"
    backend.threshold = None
    predictor = Predictor(backend)
    assert predictor.threshold == 0.3 and not predictor.is_evaluated
    assert predictor.tell_threshold() == "threshold 0.3: the model has no evaluation of its own"


def test_files_are_read_as_images_are(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture())
    predictor = Predictor(Bright())
    expected = predictor.to_dicts(predictor(picture()))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (path, str(path), "~/a.png"):
        assert predictor.to_dicts(predictor(name)) == expected
    assert len(predictor.batch([path, picture()])) == 2
    with pytest.raises(UserError, match=r"none\.png: cannot be read as an image"):
        predictor(tmp_path / "none.png")
    with pytest.raises(UserError, match=r"list of images, not 'a\.png'"):
        predictor.batch("a.png")
    with pytest.raises(UserError, match="list of images"):
        predictor.batch(path)
    with pytest.raises(UserError, match="more pixels than INPUT"):
        Predictor(Bright(), max_pixels=100)(path)


def test_what_is_found_is_drawn(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    predictor = Predictor(Twice())
    drawn = predictor.draw(tmp_path / "a.png")
    assert drawn.shape == picture().shape and drawn.dtype == np.uint8
    found = predictor(picture())
    assert np.array_equal(drawn, predictor.draw(picture(), found))
    changed = (drawn != picture()).any(axis=2)
    assert changed[2:6, 10:16].all()
    assert np.array_equal(predictor.draw(picture(), found, threshold=0.95), picture())
    # Without the strip on the left.
    assert not np.array_equal(predictor.draw(picture(), threshold=0.5), drawn)


def test_a_run_by_its_folder(files, tmp_path):
    _, weights = files
    (tmp_path / "last_checkpoint").write_text("model.pth")
    by_run = Predictor.from_run(tmp_path, device="cpu")
    assert by_run.class_names == ("a", "b", "c") and by_run.origin == ("model.pth", "cpu")
    assert Predictor.from_run(str(tmp_path), weights, device="cpu").class_names == ("a", "b", "c")
    with pytest.raises(FileNotFoundError, match=r"has no config\.yaml"):
        Predictor.from_run(tmp_path / "none")
