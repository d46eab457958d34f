import cv2
import numpy as np
import pytest

from solo.data.augmentation.copy_paste import CopyPaste
from tests.data.augmentation.conftest import combine, sample_of


def pasted(soft_edge, seed=0):
    np.random.seed(seed)
    target, source = sample_of((40, 50), 10), sample_of((30, 30), 210, [(8, 9, 20, 24)], 1)
    step = CopyPaste(prob=1, max_objects=1, same_image_prob=0, soft_edge=soft_edge)
    return combine(step, target, source)


@pytest.mark.parametrize("seed", range(4))
def test_soft_edges_blend_the_image_only(seed):
    hard, soft = pasted(0, seed), pasted(3, seed)
    assert hard.regions[0].box == soft.regions[0].box
    assert hard.regions[0].pixels.all() and soft.regions[0].pixels.all()
    mask = np.zeros((40, 50), np.uint8)
    mask[hard.regions[0].box.slices] = 1
    assert (hard.image[mask > 0] == 210).all() and (hard.image[mask == 0] == 10).all()
    kernel = np.ones((7, 7), np.uint8)  # 3 pixels either side
    inner = cv2.erode(mask, kernel, borderValue=0) > 0
    outer = cv2.dilate(mask, kernel) == 0
    assert (soft.image[inner] == 210).all() and (soft.image[outer] == 10).all()
    rim = soft.image[~inner & ~outer][:, 0].astype(int)
    assert len(np.unique(rim)) >= 6
    # Along a straight edge it is half and half between the pixels on both sides.
    box = hard.regions[0].box
    if box.left > 3:
        pair = soft.image[(box.top + box.bottom) // 2, box.left - 1 : box.left + 1, 0].astype(int)
        assert pair.sum() == pytest.approx(220, abs=3)


def test_pasted_objects_cover_masks_below():
    step = CopyPaste(prob=1, max_objects=1, same_image_prob=0, soft_edge=0)
    target = sample_of((12, 12), 0, [(0, 0, 12, 12)])
    np.random.seed(1)
    result = combine(step, target, sample_of((20, 20), 9, [(2, 2, 7, 8)], 1))
    below, above = result.regions
    assert (below.category, above.category) == (0, 1)
    assert below.area == 144 - 30
    assert (target.image == 0).all()  # stays as it was
    covered = combine(
        step, sample_of((12, 12), 0, [(3, 3, 5, 5)]), sample_of((30, 30), 9, [(0, 0, 30, 30)])
    )
    assert [region.area for region in covered.regions] == [144]


def test_number_of_pasted_objects_is_limited():
    boxes = [(x, y, x + 3, y + 3) for x in range(0, 20, 4) for y in range(0, 20, 4)]
    step = CopyPaste(prob=1, max_objects=3, same_image_prob=0, soft_edge=0)
    np.random.seed(0)
    counts = {
        len(combine(step, sample_of((400, 400), 0), sample_of((20, 20), 9, boxes)).regions)
        for _ in range(30)
    }
    assert counts <= {1, 2, 3} and 3 in counts
