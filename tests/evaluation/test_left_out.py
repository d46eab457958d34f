"""Images that cannot be read: taken out of batches, counted over processes, named below the tables."""

import pytest
from detectron2.utils import comm
from PIL import Image

from solo.errors import UserError
from solo.evaluation.left_out import LeftOut, OrReason, look_ahead
from solo.images import UnreadableImageError, WrongSizeError


def read(record):
    error = record.get("error")
    if error:
        raise error(f"{record['file_name']} is no image")
    return record


def records(errors):
    return [{"image_id": i, "file_name": f"{i}.png", "error": e} for i, e in enumerate(errors)]


def left_out_of(errors):
    left_out = LeftOut("photos")
    readable = left_out.take_from([OrReason(read)(record) for record in records(errors)])
    return left_out, [item["image_id"] for item in readable]


def test_items_without_an_image_are_taken_out():
    left_out, readable = left_out_of([None, UnreadableImageError, WrongSizeError, OSError, None])
    assert readable == left_out.gather(None) == [0, 4]
    assert left_out.gather([4, 3]) == [4]


def test_other_mistakes_are_not_the_images():
    with pytest.raises(UserError, match=r"0\.png"):
        left_out_of([UserError])


def test_where_all_can_be_read_the_evaluator_is_asked_for_all(caplog):
    left_out, _ = left_out_of([None, None])
    assert left_out.gather(None) is None and left_out.gather([1]) == [1]
    left_out.tell()
    assert not caplog.messages


def test_the_first_five_of_all_processes_are_named(caplog, monkeypatch):
    monkeypatch.setattr(comm, "all_gather", lambda mine: [mine, ([7], [("b.png", "no file")] * 4)])
    left_out, _ = left_out_of([OSError, OSError, OSError, None])
    assert left_out.gather(None) == [3, 7]
    left_out.tell()
    assert caplog.messages == [
        "7 of 9 images of photos could not be read and are not measured: 0.png, 1.png, 2.png, b.png, "
        "b.png, ... and 2 more. The first: 0.png is no image"
    ]


def test_no_image_at_all_is_an_error():
    left_out, _ = left_out_of([OSError])
    with pytest.raises(UserError, match=r"none of the 1 images of photos .*0\.png is no image"):
        left_out.gather(None)


def test_headers_tell_before_what_will_be_left_out(tmp_path, caplog):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (30, 20)).save(tmp_path / name)
    records = [
        {"file_name": str(tmp_path / name), "height": 20, "width": width}
        for name, width in (("a.png", 30), ("b.png", 31), ("c.png", 30))
    ]
    look_ahead("photos", records, 600)
    assert "2 of 3 images of photos will not be measured" in caplog.text
    assert "b.png has 30x20 pixels, its annotations say 31x20" in caplog.text
    assert "c.png" in caplog.text
    with pytest.raises(UserError, match="none of the 3 images of photos can be evaluated"):
        look_ahead("photos", records, 599)
