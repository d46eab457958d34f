import torch

from solo.benchmark.synthetic import draw_boxes, training_batch


def test_boxes_lie_in_the_image():
    for filling in (False, True):
        boxes = draw_boxes(40, (100, 200), torch.Generator().manual_seed(0), filling=filling)
        assert (boxes >= 0).all() and (boxes <= torch.tensor([200, 100, 200, 100])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_training_batch_is_what_the_mapper_makes():
    batch = training_batch(2, 3, (64, 96), num_classes=5)
    assert [item["image"].shape for item in batch] == [(3, 64, 96)] * 2
    for item in batch:
        instances = item["instances"]
        assert len(instances) == 3 and instances.gt_masks.tensor.shape == (3, 64, 96)
        assert instances.gt_masks.tensor.flatten(1).any(dim=1).all()
        assert instances.gt_classes.max() < 5
    assert not torch.equal(batch[0]["image"], batch[1]["image"])
