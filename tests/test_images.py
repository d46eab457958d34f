"""Images of more than 8 bits show what their 8-bit versions show; the others are as before."""

import cv2
import numpy as np
import pytest
from detectron2.data import detection_utils
from PIL import Image

from solo.images import PixelDepthError, check_depth, read_image, upright


@pytest.fixture
def deep():
    return np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)


def assert_shows(image, deep):
    assert image.dtype == np.uint8 and image.shape == (*deep.shape, 3)
    assert np.abs(image - (deep / 257)[..., None]).max() <= 1


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
@pytest.mark.parametrize("colours", [1, 3])
def test_16_bits_show_what_8_bits_show(tmp_path, deep, name, colours):
    path = str(tmp_path / (name if colours == 1 else name.replace("pgm", "png")))
    cv2.imwrite(path, deep if colours == 1 else np.dstack([deep] * 3))
    image = read_image(path, "BGR")
    assert_shows(image, deep)
    assert np.abs(image.astype(int) - cv2.imread(path)).max() <= 1


def test_the_order_of_bytes_does_not_matter(tmp_path, deep):
    path = str(tmp_path / "a.tif")
    Image.fromarray(deep.astype(">u2")).save(path)
    assert Image.open(path).mode == "I;16B"
    assert_shows(read_image(path, "RGB"), deep)


def test_32_bits_of_a_png_are_16(deep):
    image = Image.fromarray(deep.astype(np.int32))
    image.format = "PNG"  # as older Pillow opens it
    assert image.mode == "I"
    assert_shows(np.asarray(upright(image).convert("RGB")), deep)


def test_16_bits_are_turned_upright(tmp_path, deep):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(deep).save(tmp_path / "a.png", exif=exif)
    assert_shows(read_image(str(tmp_path / "a.png"), "RGB"), np.rot90(deep, -1))


@pytest.mark.parametrize(
    ("dtype", "sentence"),
    [(np.float32, "floating point values: convert"), (np.int32, "32-bit or signed values: conv")],
)
def test_values_without_a_range_are_refused(tmp_path, deep, dtype, sentence):
    path = str(tmp_path / "a.tif")
    Image.fromarray(deep.astype(dtype)).save(path)
    with pytest.raises(PixelDepthError, match=sentence):
        read_image(path, "RGB")
    with Image.open(path) as image, pytest.raises(PixelDepthError, match="8 bits"):
        check_depth(image)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "1"])
@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
def test_8_bits_are_as_detectron2_reads_them(tmp_path, deep, mode, image_format):
    path = str(tmp_path / "a.png")
    colours = np.dstack([deep // 257, deep % 251, deep % 13]).astype(np.uint8)
    Image.fromarray(colours).convert(mode).save(path)
    expected = detection_utils.read_image(path, image_format)
    assert np.array_equal(read_image(path, image_format), expected)
