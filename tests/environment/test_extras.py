"""What of the extras is there, by the metadata of a toy distribution in place of solo's."""

import zipfile

from solo.environment import extras
from solo.environment.wheels import write_wheel

NEEDS = [
    "torch>=2.7",
    'gradio>=1000; extra == "page"',
    'no-such-package; extra == "video"',
    'numpy>=1.0; extra == "export"',
]


def test_what_is_missing_or_too_old_is_what_pip_is_asked_for(tmp_path, monkeypatch):
    wheel = write_wheel(tmp_path, "toy-solo", "1.0", "A toy", requires=NEEDS)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(extras, "DISTRIBUTION", "toy-solo")
    found = {extra.name: extra.missing for extra in extras.look_at_extras()}
    assert found == {"page": ('"gradio>=1000"',), "video": ("no-such-package",), "export": ()}


def test_solo_that_is_not_installed_has_none(monkeypatch):
    monkeypatch.setattr(extras, "DISTRIBUTION", "no-such-distribution")
    assert extras.look_at_extras() == []
