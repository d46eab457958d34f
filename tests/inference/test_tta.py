import pytest
import torch
from detectron2.data.transforms import CropTransform, RotationTransform
from detectron2.modeling import DatasetMapperTTA
from fvcore.transforms.transform import HFlipTransform, NoOpTransform, TransformList, VFlipTransform
from torch import nn

from solo.inference.tta import SOLOWithTTA
from solo.modeling.meta_arch import SOLO
from solo.structures.run_lengths import make_instances
from tests.conftest import build, make_cfg, training_item

SIZE = (64, 96)


def tiny_model(mask_format="bitmask", **test):
    """An untrained model that finds many things, each in an own place."""
    cfg = make_cfg()
    cfg.MODEL.SOLO.TEST.MASK_FORMAT = mask_format
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.009
    cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    cfg.TEST.AUG.MIN_SIZES = (64,)
    cfg.TEST.AUG.FLIP = False
    for key, value in test.items():
        cfg.TEST.AUG[key] = value
    return cfg, build(cfg).eval()


def an_image(size=SIZE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)


def assert_same(first, second):
    assert first.image_size == second.image_size
    assert set(first.get_fields()) == set(second.get_fields())
    assert torch.equal(first.scores, second.scores)
    assert torch.equal(first.pred_classes, second.pred_classes)
    assert torch.equal(first.pred_boxes.tensor, second.pred_boxes.tensor)
    if first.has("pred_rles"):
        assert first.pred_rles == second.pred_rles
    else:
        assert torch.equal(first.pred_masks, second.pred_masks)


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
@pytest.mark.parametrize("output", [SIZE, (50, 75)], ids=["input size", "another size"])
def test_one_view_is_plain_inference(mask_format, output):
    cfg, model = tiny_model(mask_format)
    inputs = [
        {"image": an_image(seed=seed), "height": output[0], "width": output[1]} for seed in (0, 1)
    ]
    found = SOLOWithTTA(cfg, model)(inputs)
    for item, result in zip(inputs, found, strict=True):
        plain = model([item])[0]["instances"]
        assert len(plain) > 10
        assert_same(result["instances"], plain)


def test_the_size_of_the_output_is_that_of_the_image_unless_given():
    cfg, model = tiny_model(MIN_SIZES=(32, 48))
    assert SOLOWithTTA(cfg, model)([{"image": an_image()}])[0]["instances"].image_size == SIZE


def only(*transforms):
    """A mapper to one view, made so."""

    def views(item):
        image = item["image"].numpy().transpose(1, 2, 0)
        moved = TransformList(list(transforms)).apply_image(image).transpose(2, 0, 1)
        return [
            {
                **item,
                "image": torch.from_numpy(moved.copy()),
                "transforms": TransformList(list(transforms)),
            }
        ]

    return views


@pytest.mark.parametrize(
    ("transforms", "axes"),
    [
        ((HFlipTransform(SIZE[1]),), (2,)),
        ((VFlipTransform(SIZE[0]),), (1,)),
        ((NoOpTransform(), HFlipTransform(SIZE[1]), VFlipTransform(SIZE[0])), (1, 2)),
        ((HFlipTransform(SIZE[1]), HFlipTransform(SIZE[1])), ()),
    ],
)
def test_a_flipped_view_of_a_flipped_image_is_flipped_back(transforms, axes):
    cfg, model = tiny_model()
    image = an_image()
    plain = model([{"image": image}])[0]["instances"]
    mirrored = {"image": image.flip(axes) if axes else image}
    found = SOLOWithTTA(cfg, model, only(*transforms))([mirrored])[0]["instances"]
    assert torch.equal(found.pred_masks, plain.pred_masks.flip(axes) if axes else plain.pred_masks)
    assert torch.equal(found.scores, plain.scores)


def test_views_that_cannot_be_moved_back():
    cfg, model = tiny_model()
    for transform in (CropTransform(0, 0, 64, 64), RotationTransform(*SIZE, 5)):
        with pytest.raises(ValueError, match=f"made by {type(transform).__name__}"):
            SOLOWithTTA(cfg, model, only(transform))([{"image": an_image()}])


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
def test_nothing_found(mask_format):
    cfg, model = tiny_model(mask_format, MIN_SIZES=(32, 64), FLIP=True)
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = 1.0
    model = build(cfg).eval()
    instances = SOLOWithTTA(cfg, model)([{"image": an_image()}])[0]["instances"]
    assert_same(instances, model([{"image": an_image()}])[0]["instances"])
    assert len(instances) == 0 and instances.pred_classes.dtype == torch.int64


def test_no_more_instances_than_without():
    cfg, model = tiny_model(MIN_SIZES=(48, 64), FLIP=True)
    cfg.TEST.DETECTIONS_PER_IMAGE = 7
    model = build(cfg).eval()
    instances = SOLOWithTTA(cfg, model)([{"image": an_image()}])[0]["instances"]
    assert len(instances) == 7
    assert torch.equal(instances.scores, instances.scores.sort(descending=True).values)


def test_the_model_stays_as_it_is():
    cfg, model = tiny_model()
    postprocessor = model.postprocessor
    augmented = SOLOWithTTA(cfg, model)
    assert not augmented.training
    augmented([{"image": an_image()}])
    assert model.postprocessor is postprocessor and not model.training

    def broken(images):
        raise RuntimeError("out of memory")

    model.preprocess = broken
    with pytest.raises(RuntimeError, match="out of memory"):
        augmented([{"image": an_image()}])
    assert model.postprocessor is postprocessor


def test_training_mode():
    cfg, model = tiny_model()
    augmented = SOLOWithTTA(cfg, model.train())
    assert augmented.training
    with pytest.raises(RuntimeError, match=r"call eval\(\) first"):
        augmented([training_item()])


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="is for SOLO, not for Linear"):
        SOLOWithTTA(make_cfg(), nn.Linear(1, 1))


def test_no_views_are_refused():
    with pytest.raises(ValueError, match=r"TEST\.AUG\.MIN_SIZES is empty"):
        SOLOWithTTA(*tiny_model(MIN_SIZES=()))


def test_the_views_are_those_of_the_config(monkeypatch):
    cfg, model = tiny_model(MIN_SIZES=(32, 48), MAX_SIZE=60, FLIP=True)
    seen = []
    find = SOLO.find

    def watch(self, outputs, sizes):
        found = find(self, outputs, sizes)
        seen.append(([size.resized for size in sizes], found[0].has("pred_masks")))
        return found

    monkeypatch.setattr(SOLO, "find", watch)
    augmented = SOLOWithTTA(cfg, model)
    assert isinstance(augmented.tta_mapper, DatasetMapperTTA)
    instances = augmented([{"image": an_image()}])[0]["instances"]
    # One at a time, and no masks of the image's size before the end.
    assert seen == [([size], False) for size in ((32, 48), (32, 48), (40, 60), (40, 60))]
    assert instances.has("pred_masks")


def test_the_model_can_be_used_while_views_are_looked_at(monkeypatch):
    """As by another thread."""
    cfg, model = tiny_model()
    item = {"image": an_image()}
    plain = model([item])[0]["instances"]
    find, meanwhile = SOLO.find, []

    def use_the_model(self, outputs, sizes):
        monkeypatch.setattr(SOLO, "find", find)  # once
        meanwhile.extend(network([item])[0]["instances"] for network in (model, augmented))
        return find(self, outputs, sizes)

    augmented = SOLOWithTTA(cfg, model, only())
    monkeypatch.setattr(SOLO, "find", use_the_model)
    assert_same(augmented([item])[0]["instances"], plain)
    assert len(meanwhile) == 2
    for found in meanwhile:
        assert_same(found, plain)


def test_what_becomes_of_the_model_later_counts():
    """Its mode, its weights, and where they lie."""
    cfg, model = tiny_model()
    augmented = SOLOWithTTA(cfg, model.train())
    model.load_state_dict(build(cfg, seed=1).state_dict())
    model.eval().double()
    item = {"image": an_image()}
    assert_same(augmented([item])[0]["instances"], model([item])[0]["instances"])


def test_a_view_that_finds_nothing_counts():
    cfg, model = tiny_model("rle")
    item = {"image": an_image()}
    plain = model([item])[0]["instances"]
    nothing = make_instances([], [], [], size=SIZE, mask_format="rle", max_instances=1)
    views = iter([plain, nothing])
    model.forward = lambda batch: [{"instances": next(views)}]
    twice = SOLOWithTTA(cfg, model, lambda item: only()(item) + only()(item))
    found = twice([item])[0]["instances"]
    assert torch.equal(found.scores, plain.scores / 2)
    assert found.pred_rles == plain.pred_rles


def test_views_are_those_of_detectron2():
    cfg, model = tiny_model(MIN_SIZES=(40, 64), FLIP=True)
    item = {"image": an_image(), "height": 50, "width": 75}
    for mine, theirs in zip(
        SOLOWithTTA(cfg, model).tta_mapper(item), DatasetMapperTTA(cfg)(item), strict=True
    ):
        assert torch.equal(mine["image"], theirs["image"])
        assert [repr(each) for each in mine["transforms"].transforms] == [
            repr(each) for each in theirs["transforms"].transforms
        ]


@pytest.mark.parametrize("size", [(1, 1), (2, 65000)])
def test_views_of_a_strip_keep_a_pixel_of_its_shorter_side(size):
    cfg, model = tiny_model(MAX_SIZE=128, FLIP=True)
    (found,) = SOLOWithTTA(cfg, model)([{"image": an_image(size)}])
    assert found["instances"].image_size == size
