"""Tiny models with weights that find things in some images and nothing in others."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import build, make_cfg


def lively_cfg(variant):
    cfg = make_cfg(variant.removesuffix("DCN").removesuffix("Softmax").removesuffix("Quality"))
    if variant.endswith("Softmax"):
        cfg.MODEL.SOLO.LOSS.CATEGORY = "softmax"
    if variant.endswith("Quality"):
        cfg.MODEL.SOLO.QUALITY.ENABLED, cfg.MODEL.SOLO.QUALITY.EXPONENT = True, 0.5
        cfg.MODEL.SOLO.TEST.LABELS_PER_CELL = 1
    if variant.endswith("DCN"):
        cfg.MODEL.SOLO.DEFORM_CONVS = "last"
        cfg.MODEL.RESNETS.DEFORM_ON_PER_STAGE = [False, False, False, True]
        # DCNv2 in the backbone, DCNv1 in the head.
        cfg.MODEL.RESNETS.DEFORM_MODULATED = True
        cfg.MODEL.SOLO.DEFORM_MODULATED = False
    # One number, which an image can be full of: normalised, it is zero everywhere.
    cfg.MODEL.PIXEL_MEAN = [128.0] * 3
    cfg.INPUT.FORMAT = "RGB"
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 100, 150
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = ()
    return cfg


def lively_model(cfg):
    """Weights of the usual variance; where the features are zero, a probability of 0.05."""
    model = build(cfg).eval()
    torch.manual_seed(1)
    for name, parameter in model.head.named_parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
            parameter.data *= 0.03 if "offset" in name else 1.2
        elif "mask_predictors" in name:
            nn.init.zeros_(parameter)
    nn.init.constant_(model.head.category_predictor.bias[: cfg.MODEL.SOLO.NUM_CLASSES], -3.0)
    return model


def blobs(height, width, seed):
    """A random image of large, hard-edged patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    rows, columns = np.arange(height) * 5 // height, np.arange(width) * 6 // width
    return patches[rows][:, columns]


PICTURES = [blobs(90, 140, 0), blobs(75, 50, 1), blobs(200, 210, 2)]
NOTHING = np.full((60, 80, 3), 128, dtype=np.uint8)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Return a function that writes the config and the checkpoint of a variant."""

    def write(variant):
        folder = tmp_path_factory.mktemp(variant)
        cfg = lively_cfg(variant)
        content = {"model": lively_model(cfg).state_dict(), "class_names": ["a", "b", "c"]}
        torch.save(content, folder / "weights.pth")
        (folder / "config.yaml").write_text(cfg.dump())
        return {"config_file": folder / "config.yaml", "weights": str(folder / "weights.pth")}

    return write


@pytest.fixture(scope="session")
def openvino_export(files, pictures, tmp_path_factory):
    """A SOLOv2, by its files, and its export to OpenVINO, beside the ONNX file on the way to it."""
    from solo.export import openvino
    from solo.export.export import ExportRequest, export_model

    model, folder, translate = (
        files("SOLOv2"),
        tmp_path_factory.mktemp("openvino"),
        openvino.translate,
    )
    on_the_way = tmp_path_factory.mktemp("onnx") / "model.onnx"

    def translate_and_keep(program, metadata):
        translated = translate(program, metadata)
        translated.save(on_the_way)
        return translated

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino, "translate", translate_and_keep)
        request = ExportRequest(**model, output=folder, images=pictures, format="openvino")
        return model, export_model(request), on_the_way


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """The images as files."""
    import cv2

    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{index}.png" for index in range(len(PICTURES))]
    for path, picture in zip(paths, PICTURES, strict=True):
        cv2.imwrite(str(path), picture)
    return paths
