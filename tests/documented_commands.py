"""The command lines that the documents show, and how a test from the wheel runs each."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "demo" / "README.md")

# In place of a large model.
TINY = "--config cats.yaml --size 64x64 --repeats 1"
# Run for real, in this order, in the folder of tests/toy_folder.py: the line, and what it takes more to run there.
RUN = {
    "solo setup --check": "",
    "solo predict photo.jpg": "--config cats.yaml --weights output/cats/model_final.pth",
    "solo predict --model output/cats photo.jpg": "",
    "solo eval --model output/cats": "",
    "solo eval --model output/cats --annotations new/labels.json --images new/": "",
    "solo report output/cats": "",
    "solo report output/quickstart": "",
    "solo report output/run_a output/run_b --curves compared.png": "",
    "solo report output/quickstart --sheet sheet.png": "",
    'solo predict photos/ "scans/**/*.png" --output drawn/ --json found.json': "--model output/cats",
    "solo predict in.mp4 --output out.mp4": "--model output/cats",
    "solo predict in.mp4 --track --mot tracks.txt --batch 8": "--model output/cats",
    "solo predict --model output/quickstart datasets/digits-*/val --output drawn/": "",
    "solo zoo": "",
    "solo data check --annotations cats/train.json --images cats/images": "",
    "solo data survey --config cats.yaml --output analysis/": "",
    "solo data show --config cats.yaml --output batches.png": "",
    "solo data show --config cats.yaml --targets": "",
    "solo data convert --annotations cats.json --images cats/images --to yolo cats_yolo": "",
    "solo export --model output/cats --output exported/": "",
    "solo export --model output/quickstart --output exported/": "",
    "solo predict --onnx exported/model.onnx photos/ --output drawn/": "",
    "solo eval --onnx exported/model.onnx --dataset digits_val": (
        "--dataset= --annotations new/labels.json --images new/"
    ),
    "solo eval --model coco/solov2_R_50_FPN_3x": "--model output/cats",
    "solo train --data cats/ --epochs 50": (
        "--model cats.yaml --weights none --output output/new SOLVER.MAX_ITER 2"
    ),
    "solo train --config coco/solov2_R_50_FPN_3x --num-gpus 8": (
        "--config cats.yaml --num-gpus 1 --output output/long SOLVER.MAX_ITER 1"
    ),
    "solo train --config coco/solov2_R_50_FPN_3x --num-gpus 8 --resume": (
        "--config cats.yaml --num-gpus 1 --output output/long SOLVER.MAX_ITER 2"
    ),
    "solo benchmark infer --config coco/solov2_R_50_FPN_1x": TINY,
    "solo benchmark train --config coco/solov2_R_50_FPN_1x --images 2": TINY,
}
# Lines that are only parsed, and why they are not run.
PARSED = {
    "solo setup": "it installs: tests/environment does that with toy packages",
    "solo serve": "it serves until Ctrl-C: tests/cli/test_serve.py",
    "solo zoo download coco/solov2_R_50_FPN_3x": "a network: tests/cli/test_cli_zoo.py",
    "solo data digits --output datasets": "it paints for minutes: tests/cli/test_cli_data_digits.py",
    "solo benchmark cpu": "a minute of measuring: tests/cli/test_cli_benchmark.py",
}


def lines_of(path: Path) -> list[str]:
    """Return the lines `solo ...` in the ```-blocks of a document, continued lines as one, without comments."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", path.read_text(), re.M | re.S)
    text = re.sub(r" *\\\n *", " ", "\n".join(blocks))
    lines = re.findall(r"^ *(?:\$ )?(solo .*)$", text, re.M)
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines]


def words_of(line: str, folder: Path = ROOT) -> list[str]:
    """Return the arguments of a line as a shell in this folder makes them: unquoted patterns become names."""
    words = []
    for word in shlex.split(line, posix=False)[1:]:
        names = sorted(str(path.relative_to(folder)) for path in folder.glob(word) if "*" in word)
        words.extend(names or [word.strip("\"'")])
    return words


def _words(settings: dict[str, object]) -> str:
    return " ".join(f'{key} "{value}"' for key, value in settings.items())


# What docs/tutorials show is run in folders of tests/toy_folder.py, too, with a model of a few thousand weights in
# place of the large ones ...
_TOY_MODEL = _words(
    {
        "MODEL.WEIGHTS": "output/start/model_final.pth",
        "MODEL.PIXEL_MEAN": [128.0] * 3,
        "MODEL.PIXEL_STD": [1.0] * 3,
        "MODEL.RESNETS.STRIDE_IN_1X1": True,
        "MODEL.BACKBONE.FREEZE_AT": 0,
        "MODEL.RESNETS.STEM_OUT_CHANNELS": 8,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": 16,
        "MODEL.RESNETS.WIDTH_PER_GROUP": 4,
        "MODEL.RESNETS.NORM": "BN",
        "MODEL.FPN.OUT_CHANNELS": 32,
        "MODEL.SOLO.NUM_CONVS": 1,
        "MODEL.SOLO.CONV_DIM": 32,
        "MODEL.SOLO.NUM_GRIDS": [8, 7, 5, 4, 3],
        "MODEL.SOLO.MASK_FEATURE.CONV_DIM": 32,
        "MODEL.SOLO.MASK_FEATURE.DIM": 32,
        "INPUT.MIN_SIZE_TRAIN": "(64,)",
        "INPUT.MIN_SIZE_TEST": 64,
        "DATALOADER.NUM_WORKERS": 0,
        "SOLVER.IMS_PER_BATCH": 2,
    }
)
# ... and the quickstart's model on two pictures in place of the digits.
_TOY_DATA = _words(
    {
        "DATASETS.COCO_JSON": [["toys", "cats/train.json", "cats/images"]],
        "DATASETS.TRAIN": "('toys',)",
        "DATASETS.TEST": "('toys',)",
        "DATALOADER.NUM_WORKERS": 0,
        "SOLVER.MAX_ITER": 2,
        "SOLVER.IMS_PER_BATCH": 2,
        # After two steps all cells and pixels are as likely as before training.
        "MODEL.SOLO.TEST.SCORE_THRESH": 0.001,
        "MODEL.SOLO.TEST.UPDATE_THRESH": 0.0,
        "MODEL.SOLO.TEST.MASK_THRESH": 0.4,
        "MODEL.SOLO.TEST.MAX_CANDIDATES": 20,
    }
)
# The beginning of a line, and what it takes more to run there.
TUTORIALS = {
    "solo train --data cats/": "--model toy.yaml --weights none SOLVER.MAX_ITER 2",
    "solo train --config cats.yaml --weights output/cats/model_final.pth": (
        f"SOLVER.EPOCHS 1 {_TOY_MODEL} MODEL.WEIGHTS output/cats/model_final.pth"
    ),
    "solo train --config cats.yaml --resume SOLVER.EPOCHS 80": f"{_TOY_MODEL} SOLVER.EPOCHS 3",
    "solo train --config cats.yaml": f"SOLVER.EPOCHS 2 {_TOY_MODEL}",
    "solo data survey --config cats.yaml": _TOY_MODEL,
    "solo train --import my_head": _TOY_DATA,
}
# ... and why some are not run.
NOT_IN_TUTORIALS = {
    "pip install": "it asks a package index",
    "solo setup": PARSED["solo setup"],
}
