"""Which iteration of a training it is, for what changes in the course of one."""

from detectron2.utils.events import get_event_storage


def current_iteration() -> int | None:
    """Return the iteration of the training that calls, detectron2's or ours; None outside of one."""
    try:
        return int(get_event_storage().iter)
    except AssertionError:  # detectron2's way to say that there is none
        return None
