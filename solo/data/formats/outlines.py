"""Shapes that annotation tools have besides polygons, as polygons."""

import math

import numpy as np

# Corners of an ellipse: they hold 99.9 % of its area.
_CORNERS = 72


def ellipse(
    center: tuple[float, float], radii: tuple[float, float], angle: float = 0.0
) -> list[float]:
    """Return an ellipse as [x, y, ...].

    Args:
        center: x and y, in pixels.
        radii: Along x and y before it is turned, in pixels.
        angle: By which it is turned, in radians, clockwise as one sees the image.
    """
    steps = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    return _turned(radii[0] * np.cos(steps), radii[1] * np.sin(steps), center, angle)


def rectangle(
    left: float, top: float, right: float, bottom: float, angle: float = 0.0
) -> list[float]:
    """Return a rectangle, turned about its centre, as [x, y, ...]; see :func:`ellipse`."""
    center = (left + right) / 2, (top + bottom) / 2
    x = np.array([left, right, right, left]) - center[0]
    y = np.array([top, top, bottom, bottom]) - center[1]
    return _turned(x, y, center, angle)


def _turned(x: np.ndarray, y: np.ndarray, center: tuple[float, float], angle: float) -> list[float]:
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=1) + center
    flat: list[float] = corners.reshape(-1).tolist()
    return flat
