"""The categories of a file in COCO's format, without the rest, which may be half a gigabyte."""

import codecs
import json
import mmap
import re
from pathlib import Path
from typing import Any

from solo.data.document import read_classes
from solo.data.findings import Finding
from solo.data.identities import Identity

_KEY = re.compile(rb'"categories"\s*:\s*(?=\[)')
_FIRST_BYTES = 1 << 16


def read_categories(json_file: Path | str) -> dict[Identity, str] | None:
    """Return the names of the categories, by their ids, in the order of these.

    Returns:
        None where that is for the loader to tell: the file has no such list, several, or a broken
        one, is remote, or not made yet.

    Raises:
        OSError: If the file cannot be read.
    """
    if not Path(json_file).is_file() or not Path(json_file).stat().st_size:
        return None
    with open(json_file, "rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with content:
        found = [match.end() for match in _KEY.finditer(content)]
        entries: Any = _read_list(content, found[0]) if len(found) == 1 else None
    findings: list[Finding] = []
    names, ids = read_classes(entries, findings)
    return None if findings or not names else dict(zip(ids, names, strict=True))


def _read_list(content: mmap.mmap, start: int) -> Any:
    """Parse the list that begins at a byte; None if it is broken."""
    length = _FIRST_BYTES
    while True:
        data = content[start : start + length]
        try:
            return json.JSONDecoder().raw_decode(codecs.utf_8_decode(data)[0])[0]
        except UnicodeDecodeError:
            return None
        except json.JSONDecodeError:
            if start + length >= len(content):
                return None
        length *= 4
