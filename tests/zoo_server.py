"""A server on this machine that stands for the net: it serves a folder, and can behave badly."""

import contextlib
import dataclasses
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import torch

from solo.checkpoint import to_mmdet
from solo.checkpoint.class_rows import coco_class_names
from solo.checkpoint.published import PUBLISHED, Published

COCO_NAMES = coco_class_names()


@dataclass
class ZooServer:
    """What is served, how, and what was asked for.

    Attributes:
        folder: Files, by the path of the address.
        resumes: Whether it takes ranges.
        tells_length: Whether it says how long a file is.
        cut_after: Bytes of a file after which it hangs up.
        paths: What was asked for, in order.
        sent: Bytes of files that were sent.
    """

    folder: Path
    url: str = ""
    resumes: bool = True
    tells_length: bool = True
    cut_after: int | None = None
    paths: list[str] = field(default_factory=list)
    sent: int = 0


@contextlib.contextmanager
def zoo_server(folder: Path) -> Iterator[ZooServer]:
    """Serve a folder on a free port."""
    zoo = ZooServer(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            zoo.paths.append(self.path)
            file = zoo.folder / unquote(self.path).lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            begin = int(asked[1]) if asked and zoo.resumes else 0
            if begin and begin >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header(
                    "Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}"
                )
            if zoo.tells_length:
                self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            rest = content[begin:][: zoo.cut_after]
            zoo.sent += len(rest)
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    zoo.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield zoo
    finally:
        server.shutdown()
        server.server_close()


def mmdet_file(weights: Mapping[str, torch.Tensor], names=COCO_NAMES) -> dict:
    """Return what mmdetection's training writes of a model of ours, as far as anybody reads it."""
    return {"state_dict": to_mmdet(weights), "meta": {"epoch": 36, "CLASSES": tuple(names)}}


def publish(folder: Path, name: str, content: Mapping) -> Published:
    """Write a file into a folder that is served, as published under a name.

    Returns:
        The entry of the table for it, of another hash than the real one's.
    """
    entry = PUBLISHED[name]
    path = folder / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if entry.digest:
        return dataclasses.replace(entry, digest=digest)
    digest = digest[:8]
    path = path.rename(path.with_name(path.name.replace(entry.sha256, digest)))
    return dataclasses.replace(entry, path=path.relative_to(folder).as_posix())
