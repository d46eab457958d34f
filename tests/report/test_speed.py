"""The time of an image: without the first ones, and of those there are."""

from solo.config import get_cfg
from solo.report.speed import machine, speed_of


def test_the_first_images_do_not_count():
    seconds = [9.0] * 5 + [0.02, 0.04, 0.03]
    speed = speed_of(seconds, [(900, 900)] * 5 + [(10, 30), (20, 20), (30, 10)])
    assert speed.milliseconds == 30 and speed.images == 3 and speed.size == (20, 20)
    assert speed.memory is None or speed.memory > 10


def test_too_few_images_are_not_measured():
    assert speed_of([0.1] * 5, [(8, 8)] * 5) is None


def test_the_machine():
    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    assert "thread" in machine(cfg) and machine(cfg).endswith(", float32")
