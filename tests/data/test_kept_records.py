"""What is kept of a data set after its records are no longer needed."""

import pytest

from solo.data.kept_records import forget_records, known_count, known_objects, load_records
from tests.toys import registered, square, write_records


def test_the_number_of_images_outlives_the_records(tmp_path):
    with registered(write_records(tmp_path, [[square(4, 4, 20)], []])) as name:
        assert known_count(name) is None
        load_records(name)
        forget_records(name)
        assert (known_count(name), known_objects(name)) == (2, 1)
    assert known_count("no_such_set") is known_objects("no_such_set") is None


def test_a_data_set_that_is_not_here_says_where_it_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("DETECTRON2_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)
    sentence = (
        f"The data set coco_2017_val_100 is not here: there is no {tmp_path}/datasets/coco/annotations/"
        f"instances_val2017_100.json. It is looked for in $DETECTRON2_DATASETS, which is not set and means "
        f"{tmp_path}/datasets: set it to the folder that holds coco/."
    )
    with pytest.raises(FileNotFoundError) as caught:
        load_records("coco_2017_val_100")
    assert str(caught.value) == sentence
