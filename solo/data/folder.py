"""Where data sets lie that nobody gave a folder."""

import os
from pathlib import Path


def default_root() -> Path:
    """Return the folder for data sets: $SOLO_DATASETS, $DETECTRON2_DATASETS or ./datasets."""
    root = os.environ.get("SOLO_DATASETS") or os.environ.get("DETECTRON2_DATASETS") or "datasets"
    return Path(root).expanduser()
