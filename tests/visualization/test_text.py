"""Texts in the characters of any script: in a font that has them, or classes by their numbers."""

import logging

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from solo.visualization import text
from solo.visualization.draw import label_text
from solo.visualization.text import has_font, put_text, text_coverage


@pytest.fixture
def fonts(monkeypatch):
    """The fonts of the machine: here only those that a test adds."""
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    for cached in (text._find_font, text.text_coverage, text._warn_once):
        cached.cache_clear()
    yield font_manager.fontManager
    for cached in (text._find_font, text.text_coverage, text._warn_once):
        cached.cache_clear()


def write_font(path, characters):
    """Write a font whose characters are all a full square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (1000, 800), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = {ord(character): f"u{ord(character)}" for character in characters}
    order = [".notdef", *names.values()]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys(order, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_a_name_is_drawn_in_a_font_that_has_it(fonts, tmp_path, caplog):
    fonts.addfont(write_font(tmp_path / "OnlyZero.ttf", "零"))  # not the digits of a score
    fonts.addfont(write_font(tmp_path / "Zero.ttf", "零 0123456789%"))
    assert label_text(0, 0.93, ["零"]) == "零 93%"
    coverage = text_coverage("零零", 20)
    assert coverage.shape == (20, 40) and (coverage[:16] == 1).all()
    assert (text_coverage("零零", 20, True) == coverage).all()
    assert not caplog.messages


def test_what_no_font_has_is_drawn_by_its_number_and_warned_of_once(fonts, tmp_path, caplog):
    fonts.addfont(write_font(tmp_path / "LastResortHE-Regular.ttf", "零壹 0123456789%"))
    fonts.ttflist.append(font_manager.FontEntry(fname=str(tmp_path / "gone.ttf"), name="Gone"))
    with caplog.at_level(logging.WARNING):
        assert label_text(0, 0.93, ["零", "壹"]) == "class 0 93%"
        assert label_text(1, None, ["零", "壹"]) == "class 1"
    assert len(caplog.messages) == 1
    assert "Noto Sans CJK" in caplog.text and "numbers" in caplog.text


def test_the_usual_font_comes_first(fonts, tmp_path):
    expected = text_coverage("zero 93%", 20)
    text_coverage.cache_clear()
    fonts.addfont(write_font(tmp_path / "Zero.ttf", "zero 93%"))
    assert (text_coverage("zero 93%", 20) == expected).all()
    assert has_font("Größe, naïve, Ж")


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\ud800", "\u200b", "x" * 10**6, ""])
def test_any_name_is_one_line(fonts, name):
    canvas = np.zeros((40, 50, 3), np.uint8)
    put_text(canvas, label_text(0, 0.5, [name]), 0, 0, size=12, color=(255, 255, 255))
    assert text_coverage(name, 12).shape[0] == text_coverage("a b", 12).shape[0]
