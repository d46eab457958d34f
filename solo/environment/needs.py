"""What solo cannot do without: whether it is there, fits together, and which device torch has."""

from solo.environment.probes import Probe, probe_all

_TORCH = """
import torch
if torch.cuda.is_available():
    device = torch.cuda.get_device_name()
elif torch.version.cuda:
    device = "no GPU that it can use: the CPU computes"
else:
    device = "built without CUDA: the CPU computes"
text = f"{torch.__version__}, {device}"
"""
# The operator is compiled against one version of torch.
_TORCHVISION = """
import torch, torchvision.ops
torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
text = f"{torchvision.__version__}, fits torch"
"""
_DETECTRON2 = """
import pathlib, detectron2, detectron2.config
text = f"{detectron2.__version__}, {pathlib.Path(detectron2.__file__).parent}"
"""
_OPENCV = """
import cv2
text = f"{cv2.__version__}, {'without' if getattr(cv2.version, 'headless', False) else 'with'} windows"
"""
_SOLO = """
import solo
text = solo.__version__
"""
_STEPS = {
    "torch": _TORCH,
    "torchvision": _TORCHVISION,
    "detectron2": _DETECTRON2,
    "cv2": _OPENCV,
    "solo": _SOLO,
}
# What `solo setup` leaves to people, who choose the build for their GPU.
_ADVICE = {
    "torch": "pip install torch torchvision",
    "torchvision": "take both from one index: pip install --upgrade torch torchvision",
    "detectron2": "if it is there: pip uninstall detectron2, then `solo setup`",
}


def look() -> dict[str, Probe]:
    """Return what is there of each need, by name, with advice where it is missing or broken."""
    found = probe_all(_STEPS)
    return {
        name: probe if probe.ok or name not in _ADVICE else _advised(probe, _ADVICE[name])
        for name, probe in found.items()
    }


def _advised(probe: Probe, advice: str) -> Probe:
    return Probe(False, f"{probe.text.rstrip('.')} ({advice})")
