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
# Found, not imported: it imports the others, and shall not be blamed for them.
_DETECTRON2 = """
import importlib.metadata, importlib.util, pathlib
spec = importlib.util.find_spec("detectron2")
if not spec or not spec.origin:
    raise ModuleNotFoundError("No module named 'detectron2'")
try:
    version = importlib.metadata.version("detectron2")
except importlib.metadata.PackageNotFoundError:
    version = "a checkout"
text = f"{version}, {pathlib.Path(spec.origin).parent}"
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
    "cv2": _OPENCV,
    "detectron2": _DETECTRON2,
    "solo": _SOLO,
}
# What `solo setup` leaves to people: they choose a build for their GPU, and what of their own is removed.
_ADVICE = {
    "torch": "pip install torch torchvision",
    "torchvision": "pip install --upgrade torch torchvision, both from one index",
    "cv2": "`solo setup` mends it",
    "solo": "if that is detectron2's, pip uninstall detectron2, then `solo setup`",
}


def look() -> dict[str, Probe]:
    """Return what is there of each need, by name, with advice where it is missing or broken.

    Where something that solo rests on is missing, there is no row for solo.
    """
    found = probe_all(_STEPS)
    solo = found.pop("solo")
    if all(probe.ok for probe in found.values()):
        found["solo"] = solo
    return {name: _advised(name, probe) for name, probe in found.items()}


def _advised(name: str, found: Probe) -> Probe:
    if found.ok:
        return found
    if found.text == f"No module named '{name}'" and name in ("detectron2", "cv2"):
        return Probe(False, "not installed: `solo setup` brings it")
    return Probe(False, f"{found.text.rstrip('.')}: {_ADVICE[name]}")
