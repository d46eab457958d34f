"""Warnings of other packages, which nothing can be done about. It stands on Python alone: `import solo` begins with it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# What others say of themselves, which a user of a command can do nothing about: category and message.
_OF_OTHERS: tuple[tuple[type[Warning], str], ...] = (
    (FutureWarning, r".*torch\.jit"),  # detectron2 0.6, as torch sees it
    (DeprecationWarning, r".*torch\.jit"),
    (UserWarning, r"torch\.meshgrid: in an upcoming release"),
    (UserWarning, "pkg_resources is deprecated"),
    (DeprecationWarning, "pkg_resources is deprecated"),
    (UserWarning, "TypedStorage is deprecated"),  # detectron2 0.6, where processes gather
    (UserWarning, "This DataLoader will create .* worker processes"),  # idle ones do no harm
)


def silence_others() -> None:
    """Leave out warnings of other packages that a user of a command can do nothing about."""
    for category, message in _OF_OTHERS:
        warnings.filterwarnings("ignore", message=message, category=category)


@contextmanager
def others_silenced() -> Iterator[None]:
    """Leave them out for the time of imports; filters that the imported set themselves stay.

    So not `warnings.catch_warnings`, which would take back those, too.
    """
    before = list(warnings.filters)
    silence_others()
    ours = [item for item in warnings.filters[: len(_OF_OTHERS)] if item not in before]
    try:
        yield
    finally:
        for item in ours:
            with suppress(ValueError):  # the imported may have begun the filters anew
                warnings.filters.remove(item)  # type: ignore[attr-defined]
