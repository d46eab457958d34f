import logging
from pathlib import Path

import pytest

from solo.images import UnreadableImageError
from tests.data.batches import assert_equal, take


def test_unreadable_image_is_skipped_and_named(trainable, records, caplog):
    Path(records[4]["file_name"]).write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        whole = take(trainable, 6)
    names = [item["file_name"] for batch in whole for item in batch]
    assert len(names) == 24
    assert records[4]["file_name"] not in names
    assert sum("4.png" in message for message in caplog.messages) == 1
    assert_equal(take(trainable, 3, start_iteration=3), whole[3:])


def test_too_many_unreadable_images_stop(trainable, records):
    trainable.DATALOADER.MAX_UNREADABLE = 2
    for record in records[:3]:
        Path(record["file_name"]).unlink()
    with pytest.raises(UnreadableImageError, match=r"3 images.*MAX_UNREADABLE.*is 2"):
        take(trainable, 10)


def test_processes_of_a_loader_count_together(trainable):
    """Each of two processes meets one such image: in its own batch of the first two."""
    first, second = take(trainable, 2)
    for batch in (first, second):
        Path(batch[0]["file_name"]).unlink()
    trainable.DATALOADER.MAX_UNREADABLE = 1
    trainable.DATALOADER.NUM_WORKERS = 2
    with pytest.raises(UnreadableImageError, match=r"2 images.*MAX_UNREADABLE.*is 1"):
        take(trainable, 2)


def test_no_readable_image_stops(trainable, records):
    trainable.DATALOADER.MAX_UNREADABLE = 1000
    for record in records:
        Path(record["file_name"]).unlink()
    with pytest.raises(UnreadableImageError, match="10 images"):
        take(trainable, 1)
