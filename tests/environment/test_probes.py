"""Lines that are tried elsewhere: what they say, raise, or take with them."""

from solo.environment.probes import Probe, probe, probe_all


def test_each_says_what_it_found_or_what_was_raised():
    steps = {
        "found": "print('[\"noise\"'); text = 'seven'",
        "raised": "raise ImportError('no\\nmore')",
        "empty": "raise SystemExit()",
        "apart": "text = str('steps' in dir())",
    }
    assert probe_all(steps) == {
        "found": Probe(True, "seven"),
        "raised": Probe(False, "no"),
        "empty": Probe(False, "SystemExit"),
        "apart": Probe(True, "False"),
    }


def test_a_crash_is_told_and_ends_nothing_here():
    steps = {"before": "text = 'here'", "crash": "import os; os.abort()", "after": "text = ''"}
    found = probe_all(steps)
    assert found["before"] == Probe(True, "here")
    assert not found["crash"].ok and "exit status" in found["crash"].text
    assert not found["after"].ok


def test_packages_are_not_taken_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise RuntimeError('not OpenCV')")
    monkeypatch.chdir(tmp_path)
    assert probe("import cv2; cv2.imread; text = 'OpenCV'") == Probe(True, "OpenCV")
