"""Random weights of a model that find something, and a data set of what they find."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from solo.config.choices import AnnotationFormat
from solo.data.formats.coco_json import register_annotations
from solo.export import runtime
from solo.files import write_text
from solo.inference import Predictor
from solo.visualization.pictures import write_picture

_CANDIDATES = 200


def register_found(predictor: Predictor, images: Sequence[np.ndarray], folder: Path) -> str:
    """Register a data set of what a model finds in images, which are written to a folder; return its name."""
    records, annotations = [], []
    for number, image in enumerate(images, start=1):
        write_picture(image, folder / f"{number}.png")
        height, width = image.shape[:2]
        records.append(
            {"id": number, "file_name": f"{number}.png", "height": height, "width": width}
        )
        for found in predictor.to_dicts(predictor.raw(image)):
            ids = {"id": len(annotations) + 1, "image_id": number, "iscrowd": 0}
            area = found["bbox"][2] * found["bbox"][3]
            annotations.append({**found, **ids, "area": area})
    ids = predictor.category_ids
    categories = [{"id": each, "name": f"class {index}"} for index, each in enumerate(ids)]
    content = {"images": records, "annotations": annotations, "categories": categories}
    write_text(json.dumps(content), folder / "found.json")
    return register_annotations(str(folder / "found.json"), str(folder), AnnotationFormat.COCO)


def draw_weights(cfg: CfgNode, image: np.ndarray, path: Path) -> Path:
    """Write random weights that give about `_CANDIDATES` candidates on an image."""
    torch.manual_seed(0)
    cfg = cfg.clone()
    cfg.defrost()
    model = build_model(cfg).eval()
    rules = {
        "channels": cfg.INPUT.FORMAT,
        "size": None,
        "divisor": max(model.backbone.size_divisibility, *model.head.strides),
        "short_edge": cfg.INPUT.MIN_SIZE_TEST,
        "long_edge": cfg.INPUT.MAX_SIZE_TEST,
        "pad_value": cfg.MODEL.PIXEL_MEAN,
    }
    inputs = torch.from_numpy(runtime.prepare(image, rules)[0])
    with torch.no_grad():
        for name, parameter in model.head.named_parameters():
            if "mask_predictors" in name:  # else every mask is empty, or fills the image
                parameter.zero_() if parameter.ndim == 1 else parameter.mul_(10)
        outputs = model.run_network((inputs - model.pixel_mean) / model.pixel_std)
        probabilities = model.postprocessor.probabilities(*outputs.cell_logits)
        last = probabilities.flatten().topk(_CANDIDATES).values[-1]
        wanted = torch.tensor(cfg.MODEL.SOLO.TEST.SCORE_THRESH)
        model.head.category_predictor.bias += torch.logit(wanted) - torch.logit(last) + 1e-3
    torch.save({"model": model.state_dict()}, path)
    return path
