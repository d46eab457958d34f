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

# What each brings is told by `solo setup`, from solo/environment/extras.py.
EXTRAS = {
    "page": ["gradio>=6.31"],
    "video": ["av>=14"],
    "export": ["onnx", "onnxscript", "onnxruntime"],
    "openvino": ["openvino>=2026.2", "nncf>=3.1"],
    "quickstart": ["scikit-learn"],
    "cityscapes": ["cityscapesscripts"],
    "timm": ["timm>=1.0.20"],
    "ray": ["ray[data]>=2.50", "pyarrow"],
}
ALL = sorted(package for packages in EXTRAS.values() for package in packages)

setup(
    name="solo-detectron2",
    version=VERSION,
    description="SOLO, Decoupled SOLO and SOLOv2: box-free instance segmentation for detectron2",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords="instance segmentation, SOLO, SOLOv2, detectron2",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=[*find_packages(include=["solo", "solo.*"]), "solo.configs"],
    package_dir={"solo.configs": "configs"},
    # All that lies among the modules: pages, and the mark that types are checked.
    package_data={"solo": ["py.typed", "**/*.html"], "solo.configs": CONFIGS},
    entry_points={"console_scripts": ["solo = solo.cli.main:main"]},
    # detectron2 has no name of its own on the package index: `solo setup` brings it. opencv-python and not the
    # headless one, as most packages ask for it: pip would install the two into one folder. Where it cannot be
    # imported, on a server without libGL, `solo setup` puts the other in its place: see solo/environment/opencv.py.
    install_requires=[
        "torch>=2.7",
        "torchvision>=0.22",
        "fvcore",
        "pycocotools>=2.0.7",
        "opencv-python>=4.7",
        "faster-coco-eval>=1.6",
        "jinja2",
        "matplotlib",
        "packaging",
        "pillow",
        "safetensors>=0.4",
        "tabulate",
        "tqdm",
    ],
    extras_require={
        **EXTRAS,
        "all": ALL,
        "dev": [
            *ALL,
            *("pytest", "hypothesis", "ruff", "playwright", "setuptools>=64", "wheel", "uv"),
            *("mypy", "types-PyYAML", "types-tabulate", "types-tqdm"),
        ],
        "parity": ["mmdet==3.3.0", "mmengine", "mmcv-lite==2.1.0"],
        "interop": ["supervision>=0.31", "sahi>=0.12", "trackers>=2.6", "trackeval>=1.3"],
        # Below 2, which drops the plugins that the site stands on.
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=0.29", "ruff"],
    },
)
