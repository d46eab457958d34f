import pytest
import torch
from pycocotools import mask as coco_mask
from torch.nn import functional as F

from solo.layers import output
from solo.layers.masks import masks_to_boxes
from solo.layers.output import binary_masks, encoded_masks, resized_masks
from solo.structures.image_size import ImageSize
from solo.structures.run_lengths import encode_masks

SIZE = ImageSize(padded=(64, 96), resized=(60, 90), original=(120, 180))


def blobs(count, shape=(16, 24), seed=0):
    """Smooth random soft masks of all sizes, some of them empty."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, count, 4, 6, generator=generator)
    soft = F.interpolate(coarse, shape, mode="bicubic")[0]
    return (soft * torch.linspace(0.4, 1.2, count)[:, None, None]).clamp(0, 1)


def in_two_steps(soft, size, threshold=0.5):
    height, width = size.resized
    soft = F.interpolate(soft[None], size.padded, mode="bilinear")[..., :height, :width]
    return F.interpolate(soft, size.original, mode="bilinear")[0] > threshold


def test_masks_are_resized_in_two_steps(monkeypatch):
    soft = blobs(5)
    assert torch.equal(torch.cat(list(resized_masks(soft, SIZE, 0.5))), in_two_steps(soft, SIZE))
    monkeypatch.setattr(output, "_PIXELS_AT_A_TIME", 1)
    chunks = list(resized_masks(soft, SIZE, 0.5))
    assert len(chunks) == 5
    assert torch.equal(torch.cat(chunks), in_two_steps(soft, SIZE))


@pytest.mark.parametrize("share", [0.0, 1 / 3, 2.0], ids=["whole images", "both", "parts"])
@pytest.mark.parametrize(
    "size",
    [
        SIZE,
        ImageSize((64, 96), (64, 96), (37, 55)),  # made smaller
        ImageSize((64, 96), (64, 40), (640, 400)),  # much padding, made larger
        ImageSize((64, 96), (1, 96), (1, 96)),
    ],
)
def test_parts_equal_the_resize_of_everything(size, share, monkeypatch):
    monkeypatch.setattr(output, "_LARGE", share)
    soft = blobs(30)
    expected = in_two_steps(soft, size)
    masks, boxes = binary_masks(soft, size, 0.5)
    # Where a probability is within rounding of the threshold.
    assert (masks != expected).sum() <= expected.numel() * 1e-5
    assert torch.equal(boxes, masks_to_boxes(masks))
    rles, same_boxes = encoded_masks(soft, size, 0.5)
    assert torch.equal(same_boxes, boxes)
    assert [rle["counts"] for rle in rles] == [rle["counts"] for rle in encode_masks(masks)]


def test_a_mask_in_the_padding_only_is_empty():
    soft = torch.zeros(1, 16, 24)
    soft[:, 10:, 12:] = 1
    size = ImageSize((64, 96), (30, 40), (60, 80))
    masks, boxes = binary_masks(soft, size, 0.5)
    assert not masks.any() and boxes.tolist() == [[0, 0, 0, 0]]
    rles, _ = encoded_masks(soft, size, 0.5)
    assert coco_mask.area(rles[0]) == 0 and rles[0]["size"] == [60, 80]


def test_no_masks():
    masks, boxes = binary_masks(torch.zeros(0, 16, 24), SIZE, 0.5)
    assert masks.shape == (0, 120, 180) and boxes.shape == (0, 4)
    assert encoded_masks(torch.zeros(0, 16, 24), SIZE, 0.5)[0] == []


def test_the_way_of_other_devices_gives_the_same(monkeypatch):
    soft = blobs(12)
    masks, boxes = binary_masks(soft, SIZE, 0.5)
    rles, _ = encoded_masks(soft, SIZE, 0.5)
    monkeypatch.setattr(output, "_DEVICES_OF_PARTS", ())
    assert torch.equal(binary_masks(soft, SIZE, 0.5)[0], masks)
    assert torch.equal(binary_masks(soft, SIZE, 0.5)[1], boxes)
    assert encoded_masks(soft, SIZE, 0.5)[0] == rles
    assert torch.equal(encoded_masks(soft, SIZE, 0.5)[1], boxes)
