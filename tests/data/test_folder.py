import pytest

from solo.data.folder import default_root


@pytest.mark.parametrize(
    ("solo", "other", "expected"), [("a", "b", "a"), ("", "b", "b"), ("", "", "datasets")]
)
def test_the_first_variable_that_is_set_names_the_folder(monkeypatch, solo, other, expected):
    monkeypatch.setenv("SOLO_DATASETS", solo)
    monkeypatch.setenv("DETECTRON2_DATASETS", other)
    assert str(default_root()) == expected
