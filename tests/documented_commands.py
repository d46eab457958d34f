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
    "solo report output/quickstart": "",
    "solo report output/run_a output/run_b --curves compared.png": "",
    "solo report output/quickstart --sheet sheet.png": "",
    'solo predict photos/ "scans/**/*.png" --output drawn/ --json found.json': "--model output/cats",
    "solo predict in.mp4 --output out.mp4": "--model output/cats",
    "solo predict --model output/quickstart datasets/digits-*/val --output drawn/": "",
    "solo zoo": "",
    "solo data check --annotations cats/train.json --images cats/images": "",
    "solo data survey --config cats.yaml --output analysis/": "",
    "solo data show --config cats.yaml --output batches.png": "",
    "solo data show --config cats.yaml --targets": "",
    "solo data convert --annotations cats.json --images cats/images --to yolo cats_yolo": "",
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
# Lines of the README that are only parsed, and why they are not run.
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
