import numpy as np
import pycocotools.mask as mask_util
import pytest

from solo.data.formats.instance_map import encode_ids


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("highest", [1, 3, 200])
def test_masks_are_those_of_each_number(dtype, highest):
    ids = np.random.default_rng(0).integers(0, highest, (7, 11)).astype(dtype)
    rles = encode_ids(ids)
    assert list(rles) == np.unique(ids).tolist()
    for number, rle in rles.items():
        assert np.array_equal(mask_util.decode(rle), ids == number)
        expected = mask_util.encode(np.asfortranarray(ids == number, dtype=np.uint8))
        assert rle["counts"] == expected["counts"].decode(), "no runs that are split"
