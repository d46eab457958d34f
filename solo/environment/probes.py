"""Tries lines of Python in a process of their own: what fails there, or crashes, breaks nothing here."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

# As the command `solo` finds packages: what lies in the working directory is none.
_PROGRAM = """
import json, sys
sys.path[:] = filter(None, sys.path)
for name, code in json.loads(sys.argv[1]).items():
    scope = {}
    try:
        exec(code, scope)
        ok, text = True, scope["text"]
    except BaseException as error:
        ok, text = False, str(error).strip() or type(error).__name__
    print(f"\\nprobe: {json.dumps([name, ok, text])}", flush=True)
"""
_MARK = "probe: "  # other lines are what an import prints


class Probe(NamedTuple):
    """What came of some lines."""

    ok: bool
    text: str  # what they found out, or what was raised, in one line


def probe_all(steps: Mapping[str, str]) -> dict[str, Probe]:
    """Run lines of Python one after the other with the packages that are installed now.

    Args:
        steps: Lines by name; they leave what they find out in `text`.
    """
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, json.dumps(dict(steps))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            name, ok, text = json.loads(line.removeprefix(_MARK))
            found[name] = Probe(ok, text.splitlines()[0])
    crashed = Probe(False, f"Python ended with exit status {done.returncode}")
    return {name: found.get(name, crashed) for name in steps}


def probe(code: str) -> Probe:
    """Run some lines; see :func:`probe_all`."""
    return probe_all({"": code})[""]
