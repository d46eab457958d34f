from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1]
    for line in (HERE / "solo" / "__init__.py").read_text().splitlines()
    if line.startswith("__version__")
)
# Configs lie at the top for people to read, and in the wheel as solo.configs for the model zoo.
CONFIGS = [str(path.relative_to(HERE / "configs")) for path in HERE.glob("configs/**/*.yaml")]

setup(
    name="solo-detectron2",
    version=VERSION,
    description="SOLO, Decoupled SOLO and SOLOv2: box-free instance segmentation for detectron2",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=["solo", "solo.*"]), "solo.configs"],
    package_dir={"solo.configs": "configs"},
    package_data={"solo": ["py.typed"], "solo.configs": CONFIGS, "solo.report": ["*.html"]},
    entry_points={"console_scripts": ["solo = solo.cli.main:main"]},
    # detectron2 has no name of its own on the package index: `solo setup` brings it.
    install_requires=[
        "torch>=2.7",
        "torchvision>=0.22",
        "fvcore",
        "pycocotools>=2.0.7",
        "opencv-python-headless>=4.7",
        "faster-coco-eval>=1.6",
        "jinja2",
        "matplotlib",
        "pillow",
        "safetensors>=0.4",
        "tabulate",
        "tqdm",
    ],
    extras_require={
        "quickstart": ["scikit-learn"],
        "cityscapes": ["cityscapesscripts"],
        "dev": [
            *("pytest", "hypothesis", "ruff", "scikit-learn", "cityscapesscripts"),
            *("mypy", "types-PyYAML", "types-tabulate", "types-tqdm"),
            *("onnx", "onnxscript", "onnxruntime"),
            *("gradio>=6.31", "playwright", "av>=14"),
        ],
        "export": ["onnx", "onnxscript", "onnxruntime"],
        "page": ["gradio>=6.31"],
        "video": ["av>=14"],
        "parity": ["mmdet==3.3.0", "mmengine", "mmcv-lite==2.1.0"],
    },
)
