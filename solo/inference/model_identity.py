"""What tells a model from others: a digest of its files and settings, for which it is not built."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from solo.checkpoint.addresses import fetching, local_path
from solo.checkpoint.downloads import sha256_of
from solo.config.load import inference_config


def model_identity(
    config_file: str = "",
    weights: str = "",
    onnx: str = "",
    *,
    opts: Sequence[str] = (),
    tiles: int | None = None,
) -> str:
    """Return what is the same for two models only if they find the same, but for the last digits.

    Args:
        config_file: As of `open_predictor`, as are the others.
        weights: Where they are is all the same: what they hold counts.
        onnx: An exported file, in place of both.
        opts: KEY VALUE KEY VALUE ...
        tiles: Side of the tiles.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: The weights cannot be fetched.
        UserError: The config is wrong.
    """
    if onnx:
        file = Path(onnx).expanduser()
        # OpenVINO's weights lie beside the graph.
        files = [file, file.with_suffix(".bin")] if file.suffix.lower() == ".xml" else [file]
        return _digest([*opts, str(tiles)], files)
    cfg = inference_config(config_file, weights, "cpu", opts).clone()
    address = cfg.MODEL.WEIGHTS.partition("?")[0]
    cfg.defrost()
    # Where files are; and bitmaps or run lengths, which are written as the same.
    cfg.MODEL.WEIGHTS = cfg.OUTPUT_DIR = cfg.MODEL.SOLO.TEST.MASK_FORMAT = ""
    if not address:
        return _digest([cfg.dump(), str(tiles)], [])  # who builds it says what it lacks
    with fetching(address):
        return _digest([cfg.dump(), str(tiles)], [local_path(address)])


def _digest(words: Sequence[str], files: Sequence[Path]) -> str:
    """Return the sha256 of words and of what files hold, in hex digits."""
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file, and the model needs it.")
    parts = [*words, *map(sha256_of, files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
