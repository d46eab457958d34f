"""Images that are read smaller are those that detectron2 reads."""

import cv2
import numpy as np
import pytest
from detectron2.data.detection_utils import read_image
from PIL import Image

from solo.data.mapper import SOLODatasetMapper
from solo.data.reading import read_reduced
from solo.images import UnreadableImageError, image_size


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 255, (6, 9, 3), dtype=np.uint8), (96, 64))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["RGB", "BGR"])
def test_orientation_and_channels_are_detectron2s(tmp_path, pixels, orientation, image_format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = str(tmp_path / "a.jpg")
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    expected = read_image(path, image_format)
    assert image_size(path) == expected.shape[:2]
    image, size = read_reduced(path, image_format, expected.shape[:2])
    assert size == expected.shape[:2]
    assert np.array_equal(image, expected)
    height, width = size
    image, size = read_reduced(path, image_format, (height / 2, width / 2))
    assert size == (height, width)
    assert image.shape[:2] == (height // 2, width // 2)
    smaller = cv2.resize(np.ascontiguousarray(expected), (width // 2, height // 2))
    assert np.abs(image.astype(int) - smaller).mean() < 3


@pytest.mark.parametrize(
    ("fit", "shape"), [((64, 96), (64, 96)), ((33, 50), (64, 96)), ((16, 24), (16, 24))]
)
def test_no_more_than_needed_is_decoded(tmp_path, pixels, fit, shape):
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    image, _ = read_reduced(str(tmp_path / "a.jpg"), "BGR", fit)
    assert image.shape[:2] == shape


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_other_modes_are_read_as_detectron2_reads_them(tmp_path, pixels, mode):
    path = str(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    Image.fromarray(pixels).convert(mode).save(path)
    image, _ = read_reduced(path, "BGR", (64, 96))
    assert np.array_equal(image, read_image(path, "BGR"))


@pytest.mark.parametrize("end", [0, 20, 700, -40])
@pytest.mark.parametrize("fit", [None, (64, 96), (32, 48)])
def test_files_cut_short_are_refused(cfg, tmp_path, pixels, end, fit):
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, quality=95)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(UnreadableImageError, match=r"a\.jpg"):
        SOLODatasetMapper(cfg, True).sample({"file_name": str(path)}, fit)
