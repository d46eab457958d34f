"""The predictor of a model that is either a config and a checkpoint or an exported file, as flags name it."""

from collections.abc import Sequence

from solo.config import get_cfg
from solo.config.choices import MaskFormat
from solo.config.merge import merge_options
from solo.inference.predictor import Predictor
from solo.inference.tiling import TileRule


def open_predictor(
    config_file: str = "",
    weights: str = "",
    onnx: str = "",
    *,
    device: str = "",
    opts: Sequence[str] = (),
    tiles: int | None = None,
    mask_format: MaskFormat = MaskFormat.RLE,
    threads: int = 0,
) -> Predictor:
    """Build the predictor of a model.

    Args:
        config_file: A yaml file, or the name of one, where there is no `onnx`.
        weights: The checkpoint.
        onnx: An exported file, .onnx or .xml, in place of both.
        device: See `Predictor.from_config`.
        opts: KEY VALUE KEY VALUE ..., laid over the config; of an exported file TEST.AMP.ENABLED alone.
        tiles: Side of the tiles that larger images are cut into. None: none is cut.
        mask_format: A hundred masks of a large photo are gigabytes as bitmaps, and megabytes as run lengths.
        threads: Of the CPU, of an exported file; 0: all. A config is run by those of this process.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The config or a file is wrong, or what runs it is not installed.
    """
    rule = None if tiles is None else TileRule(size=tiles)
    if onnx:
        cfg = get_cfg()
        merge_options(cfg, opts)
        amp = cfg.TEST.AMP.ENABLED
        return Predictor.from_exported(
            onnx, threads=threads, mask_format=mask_format, tiles=rule, amp=amp
        )
    opts = ["MODEL.SOLO.TEST.MASK_FORMAT", str(mask_format), *opts]
    return Predictor.from_config(config_file, weights, device=device, opts=opts, tiles=rule)
