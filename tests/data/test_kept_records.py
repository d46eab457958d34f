"""What is kept of a data set after its records are no longer needed."""

from solo.data.kept_records import forget_records, known_count, load_records
from tests.toys import registered, square, write_records


def test_the_number_of_images_outlives_the_records(tmp_path):
    with registered(write_records(tmp_path, [[square(4, 4, 20)], []])) as name:
        assert known_count(name) is None
        load_records(name)
        forget_records(name)
        assert known_count(name) == 2
    assert known_count("no_such_set") is None
