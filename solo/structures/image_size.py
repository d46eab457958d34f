"""The frames that an image goes through on its way to the network and back."""

from typing import NamedTuple


class ImageSize(NamedTuple):
    """The three frames an image goes through, each (height, width) in pixels."""

    padded: tuple[int, int]
    resized: tuple[int, int]
    original: tuple[int, int]
