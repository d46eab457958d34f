"""A rectangle of whole pixels: the bounds of an object, a window, a tile."""

from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle of whole pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns of an image that lie in the box; none if it is inside out."""
        return (
            slice(self.top, max(self.top, self.bottom)),
            slice(self.left, max(self.left, self.right)),
        )

    def moved(self, x: int, y: int) -> "Box":
        """Return the box x pixels further right and y further down."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def grown(self, margin: int) -> "Box":
        """Return the box with so many pixels more on each side."""
        return Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def common(self, other: "Box") -> "Box":
        """Return what lies in both boxes; inside out where they do not meet."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def shared(self, other: "Box") -> "Box | None":
        """Return what two boxes share; None if no pixel."""
        box = self.common(other)
        return box if box.left < box.right and box.top < box.bottom else None

    def holds(self, other: "Box") -> bool:
        """Return whether another box, of a pixel or more, lies in this one."""
        return self.shared(other) == other
