"""Run a script that evaluates by pycocotools, and keep the detections that it hands over.

Examples:
    python benchmarks/kept_detections.py detections.json rival.py --iters 100
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO


def main() -> None:
    """Run SCRIPT ARGUMENTS...; write what COCO.loadRes got last."""
    if len(sys.argv) < 3 or sys.argv[1] == "--help":
        print(f"{__doc__}\nUsage: kept_detections.py FILE SCRIPT ARGUMENTS...")
        raise SystemExit(0 if "--help" in sys.argv else 2)
    file, script = sys.argv[1:3]
    load = COCO.loadRes

    def keep(self: COCO, detections: Any) -> COCO:
        # First, since pycocotools changes what it is given.
        Path(file).write_text(_as_json(detections))
        return load(self, detections)

    COCO.loadRes = keep
    sys.argv = sys.argv[2:]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


def _as_json(detections: Any) -> str:
    """Return as json what COCO.loadRes takes: a file of it, or a list, whose run lengths may be bytes."""
    if isinstance(detections, str):
        return Path(detections).read_text()
    return json.dumps(detections, default=lambda value: value.decode())


if __name__ == "__main__":
    main()
