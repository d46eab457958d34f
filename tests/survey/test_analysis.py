import pytest
import yaml
from detectron2.modeling import build_model

from solo.survey.analysis import analyze_dataset
from solo.survey.seen_images import analysis_config
from solo.survey.summary import numbers, proposal_yaml, summary
from tests.toys import registered, toy_cfg, write_config, write_records


@pytest.fixture
def unfit(cfg):
    """Ranges that leave out what is larger than 20 pixels."""
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 8], [7, 10], [9, 12], [11, 14], [13, 20]]
    return cfg


def test_a_proposal_takes_all_objects(unfit):
    analysis = analyze_dataset(unfit, 100)
    assert 0.3 < analysis.present.out_of_range < 1
    assert analysis.proposed.without_cell == 0
    # The smallest objects have 6 pixels in half of the images: images grow.
    assert max(analysis.proposed_cfg.INPUT.MIN_SIZE_TRAIN) > max(unfit.INPUT.MIN_SIZE_TRAIN)
    assert analysis.proposed.sizes.mean() > analysis.present.sizes.mean()
    # The config that was given stays.
    assert unfit.MODEL.SOLO.SCALE_RANGES[0] == [1, 8]


def test_the_proposal_can_be_pasted_and_builds(unfit, tmp_path):
    base = write_config(unfit, tmp_path)
    analysis = analyze_dataset(unfit, 100)
    pasted = tmp_path / "pasted.yaml"
    pasted.write_text(f"_BASE_: {base.name}\n{proposal_yaml(analysis)}")
    cfg = analysis_config(pasted)
    assert cfg.MODEL.SOLO.NUM_GRIDS == analysis.proposed_cfg.MODEL.SOLO.NUM_GRIDS
    assert cfg.INPUT == analysis.proposed_cfg.INPUT
    model = build_model(cfg)
    assert list(map(list, model.assigner.scale_ranges)) == cfg.MODEL.SOLO.SCALE_RANGES


def test_text_and_numbers_tell_the_same(cfg):
    analysis = analyze_dataset(cfg, 4)
    assert "4 of 6 images, 12 objects" in summary(analysis)
    assert "100.0% of the objects get a cell" in summary(analysis)
    assert proposal_yaml(analysis) in summary(analysis)
    found = yaml.safe_load(yaml.safe_dump(numbers(analysis)))
    assert found["objects"] == sum(found["objects_per_class"].values()) == 12
    assert found["objects_per_image"] == [0, 0, 0, 4]
    assert found["present"]["share_without_cell"] == 0
    assert found["proposed_settings"] == yaml.safe_load(proposal_yaml(analysis))


def test_a_margin_and_a_dynamic_assignment_are_told(unfit):
    plain = analyze_dataset(unfit, 100)
    assert " 7 to 10 px" in summary(plain) and "dynamic" not in summary(plain)
    unfit.MODEL.SOLO.SCALE_MARGIN, unfit.MODEL.SOLO.ASSIGNMENT = 2.0, "dynamic"
    wide = analyze_dataset(unfit, 100)
    assert " 3.5 to 20 px" in summary(wide)
    assert "in the first 500 iterations: ASSIGNMENT is dynamic" in summary(wide)
    assert wide.present.out_of_range < plain.present.out_of_range


def test_many_classes_are_shortened(cfg):
    from solo.survey.summary import _classes_line

    line = _classes_line({f"class{index}": index for index in range(50)})
    assert line.startswith("class49 49, ") and line.endswith(", class0 0") and "..." in line


def test_no_objects_are_one_sentence(tmp_path):
    with registered(write_records(tmp_path, [[], []])) as name:
        cfg = toy_cfg(name)
        with pytest.raises(ValueError, match="cannot be trained on"):
            analyze_dataset(cfg, 10)
        cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS = False
        with pytest.raises(ValueError, match="shows an object"):
            analyze_dataset(cfg, 10)
