"""The runner as a function of one's own program; what the commands make of it is in the other files."""

import pytest

from solo.demo.runner import Options, Runner


def options(model, **more):
    return Options(config_file=model[1], weights=model[3], device="cpu", **more)


def test_images_and_videos(model, photo, video, tmp_path):
    runner = Runner(options(model, output=tmp_path / "out", json=tmp_path / "found.json"))
    broken = tmp_path / "c.png"
    broken.write_bytes(b"broken")
    runner.run(images=[photo("a.png"), broken], videos=[video("b.mp4", 3)])
    assert (runner.num_images, runner.num_frames, len(runner.records)) == (1, 3, 1 + 3 * 2)
    assert [path.name for path in runner.written] == ["a.png", "b.mp4"]
    (failure,) = runner.failures
    assert "c.png: cannot be read as an image" in failure
    runner.write_json()
    assert runner.written[-1] == tmp_path / "found.json"


def test_what_keeps_all_from_being_done_is_raised(model, video, tmp_path):
    runner = Runner(options(model, opts=["NO_SUCH_KEY", "1"]))
    with pytest.raises(ValueError, match="NO_SUCH_KEY"):
        runner.run(videos=[video("a.mp4"), video("b.mp4")])
    assert runner.failures == []


def test_frames_without_objects_are_frames(model, video, tmp_path):
    runner = Runner(options(model, output=tmp_path / "out"))
    runner.run(videos=[video("b.mp4", 3, blobs=0)])
    assert (runner.failures, runner.num_frames, runner.objects) == ([], 3, {})
