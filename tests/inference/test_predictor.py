"""The class for users, on a tiny model and on a backend that is known."""

import json

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.structures import BitMasks, Instances

from solo import model_zoo
from solo.config.load import inference_config
from solo.inference import Predictor, TileRule
from solo.inference.torch_backend import TorchBackend
from solo.structures.run_lengths import encode_masks
from tests.export.conftest import PICTURES, lively_cfg, lively_model


class Bright:
    """Finds the bright part of an image, as class 1, and remembers what it was given."""

    class_names = ("zero", "one")
    category_ids = (10, 11)

    def __init__(self):
        self.images = []

    def find(self, images):
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
    for image, found in zip(images, predictor.batch(images), strict=True):
        alone = predictor(image)
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
