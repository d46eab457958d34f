"""The rival of compare_yolo.py: a model of Ultralytics, by the interpreter of an environment that has the package.

A conversation of lines of JSON: first what to open, then for each turn how many images and from which score on, which is answered with the
times and the detections. The package is run as its users run it; only threads and precision are set, as on the other side.

Examples:
    python benchmarks/yolo_side.py     # as compare_yolo.py starts it; it reads what to do
"""

import importlib
import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "true")
import cv2
import numpy as np
import torch
from pycocotools import mask as mask_util

MOST = 100  # detections of an image that COCO's AP looks at


def main() -> None:
    """Answer until there are no more lines."""
    if "--help" in sys.argv:
        print(__doc__)
        raise SystemExit
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the package prints is no answer
    ask = json.loads(sys.stdin.readline())
    _set_runtime(ask["model"], ask["threads"])
    model = importlib.import_module("ultralytics").YOLO(ask["model"], task="segment")
    images = [cv2.imread(file) for file in ask["files"]]
    for line in sys.stdin:
        count, threshold = json.loads(line)
        turn = _take_turn(model, images[:count], ask["size"], threshold)
        print(json.dumps(turn), file=answers)


def _set_runtime(path: str, threads: int) -> None:
    """Let the runtime of a model compute in float32, by so many threads; the package asks for neither."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if path.endswith(".onnx"):
        onnxruntime = importlib.import_module("onnxruntime")
        session, options = onnxruntime.InferenceSession, onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def load(file: Any, *_: Any, **__: Any) -> Any:
            return session(file, options, providers=["CPUExecutionProvider"])

        onnxruntime.InferenceSession = load
        return
    openvino = importlib.import_module("openvino")
    compile_model = openvino.Core.compile_model
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }

    def compiled(core: Any, graph: Any, *_: Any, **__: Any) -> Any:
        return compile_model(core, graph, "CPU", settings)

    openvino.Core.compile_model = compiled


def _take_turn(model: Any, images: list[np.ndarray], size: int, threshold: float) -> dict[str, Any]:
    """Find the instances of all images, from pixels to run lengths of masks of the image's size."""
    seconds, network, detections = 0.0, 0.0, []
    for image in images:
        start = time.perf_counter()
        found = model.predict(
            image,
            imgsz=size,
            conf=threshold,
            max_det=MOST,
            retina_masks=True,
            device="cpu",
            verbose=False,
        )[0]
        rles = []
        if found.masks is not None:
            masks = found.masks.data.numpy().astype(np.uint8)
            rles = mask_util.encode(np.asfortranarray(masks.transpose(1, 2, 0)))
        seconds += time.perf_counter() - start
        network += found.speed["inference"] / 1000
        texts = [{**rle, "counts": rle["counts"].decode()} for rle in rles]
        scores, classes = found.boxes.conf.tolist(), found.boxes.cls.int().tolist()
        detections.append(list(zip(texts, classes, scores, strict=True)))
    return {"seconds": seconds, "network": network, "detections": detections}


if __name__ == "__main__":
    main()
