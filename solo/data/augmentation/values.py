"""Values of the keys under INPUT, each checked once: a `UserError` names the key."""

from collections.abc import Sequence

from detectron2.config import CfgNode

from solo.errors import UserError


def pad_value(cfg: CfgNode) -> tuple[int, ...]:
    """Return the colour of pixels that no image covers, in the order of INPUT.FORMAT."""
    check_colors(cfg, "padding")
    value = cfg.INPUT.PAD_VALUE
    if value and (len(value) != 3 or min(value) < 0 or max(value) > 255):
        raise UserError(
            f"INPUT.PAD_VALUE is {value}: give three numbers from 0 to 255 in the order of "
            f"INPUT.FORMAT, which is {cfg.INPUT.FORMAT}, or [] for MODEL.PIXEL_MEAN"
        )
    return tuple(round(number) for number in value or cfg.MODEL.PIXEL_MEAN)


def check_colors(cfg: CfgNode, what: str) -> None:
    """Refuse images of other channels, naming what cannot work on them."""
    if cfg.INPUT.FORMAT not in ("RGB", "BGR"):
        raise UserError(
            f"INPUT.FORMAT is {cfg.INPUT.FORMAT!r}, but {what} can only work on images in RGB or BGR"
        )


def share_of(key: str, value: float, most: float = 1.0) -> float:
    """Return a number from 0 to the most that it may be, checked."""
    if not 0 <= value <= most:
        raise UserError(f"{key} is {value}: give a number from 0 to {most:g}")
    return float(value)


def range_of(
    key: str, values: Sequence[float], *, above: float | None = None, most: float | None = None
) -> tuple[float, float]:
    """Return (low, high), checked: low > above, else low >= 0; high <= most."""
    fits = len(values) == 2 and 0 <= values[0] <= values[1]
    if above is not None:
        fits = fits and values[0] > above
    if most is not None:
        fits = fits and values[1] <= most
    if not fits:
        least = "0" if above is None else f"above {above:g}"
        limit = "" if most is None else f", at most {most:g}"
        raise UserError(f"{key} is {values}: give [low, high], {least} or more{limit}")
    return float(values[0]), float(values[1])


def size_of(key: str, values: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) in pixels, checked."""
    if len(values) != 2 or min(values) < 1:
        raise UserError(f"{key} is {values}: give [height, width] in pixels")
    return int(values[0]), int(values[1])
