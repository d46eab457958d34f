import numpy as np
import pytest

from solo.data.augmentation.color import ColorJitter


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(60, 160, (9, 11, 3), dtype=np.uint8)


def jitter(image, *, factors=None, seed=0, image_format="RGB", **strengths):
    """Apply the jitter; factors: what it draws, of brightness, contrast, saturation and turns."""
    strengths = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, **strengths}
    np.random.seed(seed)
    augmentation = ColorJitter(**strengths, image_format=image_format)
    return augmentation.get_transform(image).apply_image(image)


def test_no_strength_changes_nothing(image):
    assert np.array_equal(jitter(image), image)


def test_all_strengths_change_something(image):
    for name in ("brightness", "contrast", "saturation", "hue"):
        changed = jitter(image, **{name: 0.3})
        assert changed.dtype == np.uint8
        assert np.abs(changed.astype(int) - image).mean() > 1, name


def test_brightness_is_a_factor(image):
    changed = jitter(image, brightness=0.3).astype(float)
    factor = changed.sum() / image.sum()
    assert 0.7 <= factor <= 1.3
    assert np.abs(changed - factor * image).max() < 1


def test_contrast_keeps_the_mean_luminance(image):
    changed = jitter(image, contrast=0.3)
    weights = [0.299, 0.587, 0.114]
    assert (changed @ weights).mean() == pytest.approx((image @ weights).mean(), abs=0.5)


@pytest.mark.parametrize("name", ["saturation", "hue"])
def test_grey_has_neither_saturation_nor_hue(name, image):
    grey = np.repeat(image[..., :1], 3, axis=2)
    assert np.abs(jitter(grey, **{name: 0.5}).astype(int) - grey).max() <= 1


def test_luminance_outlives_saturation_and_hue(image):
    changed = jitter(image, saturation=0.5, hue=0.1)
    weights = [0.299, 0.587, 0.114]
    assert np.abs(changed @ weights - image @ weights).max() < 1.5


def test_order_of_channels(image):
    strengths = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.3, "hue": 0.2}
    turned = jitter(image[..., ::-1], image_format="BGR", **strengths)
    assert np.array_equal(turned[..., ::-1], jitter(image, **strengths))


def test_seeds_differ(image):
    assert not np.array_equal(
        jitter(image, brightness=0.3, seed=0), jitter(image, brightness=0.3, seed=1)
    )
