"""Run the tests against another detectron2 than the installed one: a checkout, compiled or not.

Nothing is installed or changed: its Python half lies before the installed one for this run only.

Examples:
    python dev/test_with_detectron2.py ../detectron2
    python dev/test_with_detectron2.py ../detectron2 tests/layers -k deform
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run pytest; return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a checkout of detectron2")
    args, pytest_arguments = parser.parse_known_args()
    package = args.folder.resolve() / "detectron2"
    if not (package / "__init__.py").is_file():
        parser.error(
            f"{args.folder} holds no folder detectron2 with an __init__.py: give a checkout."
        )
    with tempfile.TemporaryDirectory() as name:
        # The package alone: the checkout has a folder called tests, too.
        Path(name, "detectron2").symlink_to(package)
        paths = [name, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        where = "import detectron2; print(detectron2.__version__, detectron2.__file__)"
        found = subprocess.run(
            [sys.executable, "-c", where],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        sys.stdout.write(f"detectron2 {found.stdout}")
        sys.stdout.flush()
        command = [sys.executable, "-m", "pytest", *pytest_arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
