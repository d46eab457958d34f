"""The type of the words that a key of a config may take."""

from enum import Enum


class Word(str, Enum):
    """A word of a config: printed as its text, and equal to it, as a config keeps texts (so no `is`)."""

    def __str__(self) -> str:
        """Return the text."""
        return str(self.value)

    def __repr__(self) -> str:
        """Return the text in quotes, as argparse lists choices."""
        return repr(self.value)
