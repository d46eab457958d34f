"""What the model is given, what comes back, and where the names of the classes come from."""

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Instances
from PIL import Image
from torch import nn

from solo.config import get_cfg
from solo.config.load import inference_config
from solo.data.mapper import SOLODatasetMapper
from solo.inference import torch_backend as predictor_module
from solo.inference.torch_backend import TorchBackend


@META_ARCH_REGISTRY.register()
class Recorder(nn.Module):
    """Finds nothing, and remembers what it was given."""

    def __init__(self, cfg):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(cfg.MODEL.SOLO.NUM_CLASSES))

    def forward(self, inputs):
        self.batches = [*getattr(self, "batches", []), inputs]
        assert not self.training
        assert not torch.is_grad_enabled()
        return [{"instances": Instances((item["height"], item["width"]))} for item in inputs]


def make_cfg(tmp_path, num_classes=2, **content):
    path = tmp_path / "model.pth"
    torch.save({"model": {"weight": torch.ones(num_classes)}, **content}, path)
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE = "Recorder"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = str(path)
    cfg.MODEL.SOLO.NUM_CLASSES = num_classes
    cfg.INPUT.MIN_SIZE_TEST = 32
    cfg.INPUT.MAX_SIZE_TEST = 50
    return cfg


# The strips are such that a resize to whole pixels would leave nothing of them.
@pytest.mark.parametrize("size", [(40, 90), (2, 3000), (3000, 2)])
@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
def test_the_input_is_that_of_evaluation(tmp_path, image_format, size):
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    cfg = make_cfg(tmp_path)
    cfg.INPUT.FORMAT = image_format
    predictor = TorchBackend(cfg)
    (found,) = predictor.find([pixels[:, :, ::-1]])
    assert found.image_size == size
    assert (predictor.model.weight == 1).all()

    item = SOLODatasetMapper(cfg, False)({"file_name": str(tmp_path / "a.png")})
    ((given,),) = predictor.model.batches
    assert max(given["image"].shape) == 50
    assert torch.equal(given["image"], item["image"].float())


def test_a_long_strip_keeps_a_pixel_of_its_shorter_side(tmp_path):
    predictor = TorchBackend(make_cfg(tmp_path))
    predictor.find([np.zeros((2, 3000, 3), dtype=np.uint8)])
    ((given,),) = predictor.model.batches
    assert given["image"].shape == (3, 1, 50)


def test_images_of_one_size_go_through_the_network_together(tmp_path):
    predictor = TorchBackend(make_cfg(tmp_path))
    # 32 x 50, 32 x 32 and 32 x 50 pixels after resizing, each with its own gray.
    images = [
        np.full((*size, 3), 50 * i, np.uint8) for i, size in enumerate([(64, 99), (9, 9)] * 2)
    ]
    found = predictor.find(images)
    assert [each.image_size for each in found] == [(64, 99), (9, 9)] * 2
    shades = [[item["image"].mean().item() for item in batch] for batch in predictor.model.batches]
    assert shades == [[0, 100], [50, 150]]
    assert predictor.find([]) == []


def test_augmented_views_are_made_of_the_image_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(predictor_module, "SOLOWithTTA", lambda cfg, model: model)
    cfg = make_cfg(tmp_path)
    cfg.TEST.AUG.ENABLED = True
    predictor = TorchBackend(cfg)
    image = np.random.default_rng(0).integers(0, 255, (64, 99, 3), dtype=np.uint8)
    predictor.find([image])
    ((given,),) = predictor.model.batches
    # BGR: what the config says.
    assert torch.equal(given["image"], torch.from_numpy(image.transpose(2, 0, 1)))
    assert (given["height"], given["width"]) == (64, 99)


def test_augmentation_wraps_the_model(tmp_path):
    cfg = make_cfg(tmp_path)
    cfg.TEST.AUG.ENABLED = True
    with pytest.raises(ValueError, match=r"not for Recorder: set TEST\.AUG\.ENABLED False"):
        TorchBackend(cfg)


def test_class_names(tmp_path):
    name = "predictor_test_train"
    MetadataCatalog.get(name).set(
        thing_classes=["cat", "dog"], thing_dataset_id_to_contiguous_id={17: 0, 18: 1}
    )
    try:
        cfg = make_cfg(tmp_path, class_names=["zero", "one"])
        assert TorchBackend(cfg).class_names == ("zero", "one")
        cfg.DATASETS.TRAIN = (name,)
        # The checkpoint's come first; ids of other classes are not taken for theirs.
        assert TorchBackend(cfg).class_names == ("zero", "one")
        assert TorchBackend(cfg).category_ids == (0, 1)

        cfg = make_cfg(tmp_path)
        assert TorchBackend(cfg).class_names == ()
        cfg.DATASETS.TRAIN = (name,)
        assert TorchBackend(cfg).class_names == ("cat", "dog")
        assert TorchBackend(cfg).category_ids == (17, 18)
        cfg.MODEL.SOLO.NUM_CLASSES = 0
        assert TorchBackend(cfg).class_names == ("cat", "dog")
        # Names of a data set with another number of classes are none.
        cfg = make_cfg(tmp_path, num_classes=3)
        cfg.DATASETS.TRAIN = (name,)
        assert TorchBackend(cfg).class_names == ()
    finally:
        MetadataCatalog.remove(name)


def test_the_number_of_classes_comes_from_the_checkpoint(tmp_path):
    cfg = make_cfg(tmp_path, class_names=["zero", "one"])
    cfg.MODEL.SOLO.NUM_CLASSES = 0
    cfg.freeze()
    assert TorchBackend(cfg).class_names == ("zero", "one")
    assert cfg.MODEL.SOLO.NUM_CLASSES == 0
    cfg = make_cfg(tmp_path)
    cfg.MODEL.SOLO.NUM_CLASSES = 0
    with pytest.raises(ValueError, match=r"Set MODEL\.SOLO\.NUM_CLASSES"):
        TorchBackend(cfg)


def test_the_checkpoint_is_read_once(tmp_path, monkeypatch):
    load, read = torch.load, []
    monkeypatch.setattr(torch, "load", lambda path, **how: read.append(path) or load(path, **how))
    cfg = make_cfg(tmp_path, class_names=["zero", "one"])
    cfg.MODEL.SOLO.NUM_CLASSES = 0
    predictor = TorchBackend(cfg)
    assert (predictor.model.weight == 1).all()
    assert len(read) == 1


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("MODEL.WEIGHTS", "", "MODEL.WEIGHTS is empty"),
        ("MODEL.WEIGHTS", "missing.pth", "missing.pth"),
        ("INPUT.FORMAT", "L", "INPUT.FORMAT"),
        ("INPUT.MIN_SIZE_TEST", -1, r"INPUT\.MIN_SIZE_TEST is -1"),
        ("MODEL.DEVICE", "gpu", r"MODEL\.DEVICE is 'gpu': give cpu, cuda or cuda:1"),
        ("MODEL.DEVICE", "xpu:77", r"MODEL\.DEVICE is 'xpu:77': give cpu"),
    ],
)
def test_wrong_configs(tmp_path, key, value, words):
    cfg = make_cfg(tmp_path)
    cfg.merge_from_list([key, value])
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        TorchBackend(cfg)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_cuda(tmp_path):
    cfg = make_cfg(tmp_path)
    cfg.MODEL.DEVICE = "cuda"
    with pytest.raises(ValueError, match='set it to "cpu"'):
        TorchBackend(cfg)


def test_a_checkpoint_without_all_weights_is_refused(tmp_path):
    cfg = make_cfg(tmp_path)
    torch.save({"model": {"other": torch.ones(2)}}, cfg.MODEL.WEIGHTS)
    with pytest.raises(ValueError, match="checkpoint"):
        TorchBackend(cfg)


def test_inference_config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text('VERSION: 2\nMODEL: {WEIGHTS: "backbone.pkl", DEVICE: "cuda:7"}\n')
    cfg = inference_config(path, opts=["SEED", "3"])
    # The weights of the file are those that training starts from.
    assert (cfg.MODEL.WEIGHTS, cfg.SEED) == ("", 3)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert device == cfg.MODEL.DEVICE
    assert inference_config(path, opts=["MODEL.WEIGHTS", "a.pth"]).MODEL.WEIGHTS == "a.pth"
    assert inference_config(path, "b.pth", "cpu").MODEL.WEIGHTS == "b.pth"
    with pytest.raises(ValueError, match="NO_SUCH_KEY"):
        inference_config(path, opts=["NO_SUCH_KEY", "1"])
    with pytest.raises(FileNotFoundError, match=r"missing\.yaml"):
        inference_config(tmp_path / "missing.yaml")


def test_a_checkpoint_tells_its_threshold_and_the_ids_of_its_classes(tmp_path):
    best = {"threshold": 0.42, "F1": 80.0}
    content = {"class_names": ["zero", "one"], "category_ids": [7, 9], "best_f1": best}
    backend = TorchBackend(make_cfg(tmp_path, **content))
    assert backend.threshold == 0.42 and backend.category_ids == (7, 9)
    assert backend.origin == ("model.pth", "cpu")
    backend = TorchBackend(make_cfg(tmp_path, class_names=["zero", "one"], category_ids=[7]))
    assert backend.threshold is None and backend.category_ids == (0, 1)
