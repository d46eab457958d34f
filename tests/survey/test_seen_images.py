import pytest
import torch
from detectron2.modeling import build_model

from solo.data import build_train_loader
from solo.survey.seen_images import analysis_config, seen_images, take_images
from tests.toys import write_config


@pytest.mark.parametrize(("num_images", "num_batches"), [(1, 1), (2, 1), (3, 2)])
def test_batches_hold_as_many_images_as_asked_for(num_images, num_batches):
    batches = [[{"number": 2 * batch + image} for image in range(2)] for batch in range(9)]
    assert list(take_images(iter(batches), num_images)) == batches[:num_batches]


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        list(take_images([], 0))


def test_images_are_those_of_training(cfg):
    model = build_model(cfg)
    images = list(seen_images(build_train_loader(cfg), model, 5))
    assert len(images) == 5
    loader = iter(build_train_loader(cfg))
    items = [(item, batch) for batch in (next(loader) for _ in range(3)) for item in batch]
    for image, (item, batch) in zip(images, items, strict=False):
        assert torch.equal(image.item["image"], item["image"])
        assert torch.equal(image.truth.gt_masks, item["instances"].gt_masks.tensor)
        # Padded as their batch is, whose images may differ in size.
        assert image.size == model.preprocess(batch).tensor.shape[-2:]


def test_another_data_set_brings_its_classes(cfg, tmp_path):
    cfg.SEED = -1
    path = write_config(cfg, tmp_path)
    ours = analysis_config(path)
    assert (ours.MODEL.SOLO.NUM_CLASSES, ours.SEED) == (3, 0)
    other = analysis_config(path, ["SEED", "7"], "other_set")
    assert other.DATASETS.TRAIN == ("other_set",)
    assert (other.MODEL.SOLO.NUM_CLASSES, other.SEED) == (0, 7)
