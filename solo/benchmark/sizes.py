"""Sizes that are measured at where no others are asked for."""

Size = tuple[int, int]
"""(H, W) in pixels."""

INPUT: Size = (800, 1088)
"""Of the network's input, before padding, where no other is asked for."""
ORIGINAL: Size = (480, 640)
"""Of the image that masks are brought to, where no other is asked for."""
