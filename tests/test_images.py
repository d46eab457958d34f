"""Images of more than 8 bits show what their 8-bit versions show; the others are as before."""

import io
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from detectron2.data import detection_utils
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from solo.config import get_cfg
from solo.data.reading import read_reduced
from solo.images import (
    MAX_PIXELS,
    UnreadableImageError,
    WrongSizeError,
    check_size,
    image_size,
    read_image,
    upright,
)

READERS = (image_size, lambda path: read_image(path, "BGR"))


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
    for read in READERS:
        with pytest.raises(UnreadableImageError, match=rf"a\.tif: .*{sentence}"):
            read(path)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "1"])
@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
def test_8_bits_are_as_detectron2_reads_them(tmp_path, deep, mode, image_format):
    path = str(tmp_path / "a.png")
    colours = np.dstack([deep // 257, deep % 251, deep % 13]).astype(np.uint8)
    Image.fromarray(colours).convert(mode).save(path)
    expected = detection_utils.read_image(path, image_format)
    assert np.array_equal(read_image(path, image_format), expected)


def png(*chunks):
    """The bytes of a PNG, right but for what its chunks say."""
    body = b""
    for kind, data in (*chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + kind + data
        body += struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + body


def header(width, height):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def test_the_limit_of_pixels_is_asked_for_before_they_are_decoded(tmp_path, deep, monkeypatch):
    assert get_cfg().INPUT.MAX_PIXELS == MAX_PIXELS == 2 * Image.MAX_IMAGE_PIXELS
    path = tmp_path / "a.jpg"
    Image.fromarray((deep // 256).astype(np.uint8)).save(path)
    for read in (image_size, lambda *args: read_image(args[0], "BGR", args[1])):
        with pytest.raises(UnreadableImageError, match=r"a\.jpg: .* INPUT\.MAX_PIXELS, 767: "):
            read(path, 24 * 32 - 1)
        read(path, 24 * 32)
    # A few bytes that claim 201 million pixels.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    bomb = tmp_path / "b.png"
    bomb.write_bytes(png(header(15000, 13400), (b"IDAT", zlib.compress(b""))))
    for read in (lambda path: image_size(path, MAX_PIXELS), READERS[1]):
        with pytest.raises(UnreadableImageError, match=r"b\.png: .* INPUT\.MAX_PIXELS"):
            read(bomb)
    assert image_size(bomb) == image_size(bomb, 201_000_000) == (13400, 15000), "headers alone"


def test_threads_that_read_sizes_leave_pillows_limit_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    seconds, limit, opened = iter((0.02, 0.1)), Image.MAX_IMAGE_PIXELS, Image.open

    def slow(*args, **kwargs):
        time.sleep(next(seconds))  # the second begins while the first is at it, and ends after it
        return opened(*args, **kwargs)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    monkeypatch.setattr(Image, "open", slow)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(image_size, (path, path))) == [(4, 4)] * 2
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    "content",
    [
        png(header(4, 4), (b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 21)))),
        png(header(4, 4), (b"IDAT", zlib.compress(bytes(1 << 9))[:4])),
        png((b"IHDR", b"short")),
        png(header(0, 4)),
        b"II*\0\x08\0\0\0" + b"\xff" * 40,  # a TIFF of 65,535 tags
        b"GIF89a\x04\0\x04\0\0\0\0,",  # ends in its first frame
    ],
)
def test_broken_parts_of_a_file_are_told_by_its_name(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.png: cannot be read as an image \(.+\)"):
        read_image(tmp_path / "a.png", "BGR")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_is_read(tmp_path, kind):
    first, second = (Image.new("RGB", (16, 8), color) for color in ("red", "blue"))
    first.save(tmp_path / "a", kind, save_all=True, append_images=[second, second])
    image = read_image(tmp_path / "a", "RGB")
    assert np.abs(image.astype(int) - (255, 0, 0)).max() < 5


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
def test_a_damaged_file_is_read_or_named(tmp_path, kind):
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(buffer, kind)
    path = tmp_path / "a"
    named = 0
    for _ in range(60):
        content = bytearray(buffer.getvalue())
        content[rng.integers(min(len(content), 200))] = rng.integers(256)
        path.write_bytes(content)
        for read in (*READERS, lambda path: read_reduced(path, "RGB", (12, 16))):
            try:
                read(path)
            except UnreadableImageError as error:
                named += str(path) in str(error)
    assert named


def test_a_size_that_ignores_exif_is_told_as_such(tmp_path):
    photo = Image.new("RGB", (30, 20))
    exif = photo.getexif()
    exif[274] = 6
    photo.save(tmp_path / "a.jpg", exif=exif)
    path = str(tmp_path / "a.jpg")
    record = {"file_name": path}
    check_size(record, image_size(path))
    assert (record["height"], record["width"]) == (30, 20)
    with pytest.raises(WrongSizeError, match="20x30 pixels, its annotations say 30x20: its EXIF"):
        check_size({"file_name": path, "height": 20, "width": 30}, image_size(path))
    with pytest.raises(
        WrongSizeError, match="20x30 pixels, its annotations say 31x20: write the size"
    ):
        check_size({"file_name": path, "height": 20, "width": 31}, image_size(path))


def test_a_png_whose_pixels_break_off_is_not_black_below(tmp_path):
    """Its EXIF may lie behind the pixels: detectron2 looks for it, and takes what it finds until then."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.png"):
        read_image(path, "BGR")


def test_a_name_that_no_file_can_have_is_shortened():
    with pytest.raises(UnreadableImageError, match="File name too long") as caught:
        read_image("a" * 5000 + ".png", "BGR")
    assert len(str(caught.value)) < 300 and "aaa.png: cannot be read" in str(caught.value)


@pytest.mark.parametrize("place", ["exif", "raw profile", "xmp", "behind the pixels", "none"])
def test_the_size_of_a_png_is_that_of_its_reading(tmp_path, place):
    photo = Image.new("RGB", (30, 20))
    exif = Image.Exif()
    exif[274] = 6
    path, more = tmp_path / "a.png", PngInfo()
    if place == "raw profile":
        content = exif.tobytes()
        text = f"\nexif\n{len(content):8}\n{content.hex()}\n"
        more.add_text("Raw profile type exif", text, zip=True)
    elif place == "xmp":
        more.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="6"/>')
    else:
        more.add_text("Software", "x" * 30)
    photo.save(path, pnginfo=more, exif=exif.tobytes() if place == "exif" else b"")
    if place == "behind the pixels":
        data = path.read_bytes()
        chunk = b"eXIf" + exif.tobytes()[6:]
        chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(data[:-12] + chunk + data[-12:])
    assert image_size(path) == read_image(path, "BGR").shape[:2]
    assert image_size(path) == ((20, 30) if place == "none" else (30, 20))
