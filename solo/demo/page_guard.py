"""Who may ask for the page of `solo serve`, and how much: its names, its password, its limits.

A page that another site shows can send requests here, too, and a name that its owner points to this
machine makes them look like the page's own (DNS rebinding): so Host and Origin are looked at.
"""

import asyncio
import base64
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# Where a password does not show in a list of processes.
PASSWORD_VARIABLE = "SOLO_PAGE_PASSWORD"
# Bytes: of an upload, of any other request, and of all files that are kept at a time.
MAX_UPLOAD = 200 * 2**20
MAX_REQUEST = 2**20
MAX_KEPT = 2 * 2**30
# That arrive at the same time.
MAX_UPLOADS = 4

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]


class Refusal(NamedTuple):
    """The answer to a request that goes no further."""

    status: int
    sentence: str


class Guard:
    """ASGI middleware that lets through what the page may be asked, and refuses the rest."""

    def __init__(
        self, app: App, *, host: str, allowed: Collection[str], password: str, files: Path
    ) -> None:
        """Stand before an app.

        Args:
            app: The page.
            host: Address that it listens at.
            allowed: Names that it has besides that and those of this machine.
            password: Which every request has to bring, with any user name; empty: none.
            files: Folder of what is uploaded, whose oldest files go where there are too many.
        """
        self.app = app
        address = _address(host)
        self._any_address = address is not None and address.is_unspecified
        self._names = {"localhost", "127.0.0.1", "::1", *map(str.lower, (host, *allowed))}
        if self._any_address:
            self._names.add(socket.gethostname().lower())
        self._password = password.encode()
        self._files = files
        self._uploads = 0

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send
    ) -> None:
        """Answer a request, or let the app do it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        is_upload = scope["path"].rstrip("/").endswith("/upload")
        refusal = self._refuse(scope, MAX_REQUEST + is_upload * MAX_UPLOAD)
        if not refusal and is_upload and self._uploads >= MAX_UPLOADS:
            refusal = Refusal(503, f"{MAX_UPLOADS} images are on their way: try again.")
        if refusal:
            await _answer(refusal, scope, send)
            return
        self._uploads += is_upload
        try:
            if is_upload:
                kept = MAX_KEPT - MAX_UPLOADS * MAX_UPLOAD
                await asyncio.to_thread(delete_oldest, self._files, kept)
            await self.app(scope, receive, send)
        finally:
            self._uploads -= is_upload

    def _refuse(self, scope: Message, max_size: int) -> Refusal | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if not self._is_mine(name := _name_of(host)):
            return Refusal(403, f"The page is not at {host}. If it is: --allow-host {name}")
        if origin is not None and origin.lower().partition("://")[2] != host.lower():
            return Refusal(403, f"A page of {origin} may not use this one.")
        # gradio asks for the beginning itself, and has no password.
        if not scope["path"].endswith("/startup-events") and not self._is_known(headers):
            return Refusal(401, "Give the password of the page; any user name will do.")
        if b"transfer-encoding" in headers:  # of any length
            return Refusal(411, "Say how long the request is.")
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > max_size:
            return Refusal(413, f"A request may have {max_size} bytes.")
        return None

    def _is_mine(self, name: str) -> bool:
        """Return whether a name is the page's: nobody can point an address in digits elsewhere."""
        return name in self._names or (self._any_address and _address(name) is not None)

    def _is_known(self, headers: MutableMapping[bytes, str]) -> bool:
        if not self._password:
            return True
        _, _, credentials = headers.get(b"authorization", "").partition(" ")
        with suppress(ValueError):  # it is no base64
            given = base64.b64decode(credentials).partition(b":")[2]
            return secrets.compare_digest(given, self._password)
        return False


async def _answer(refusal: Refusal, scope: Message, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="solo", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.sentence.encode()})


def _name_of(host: str) -> str:
    """Return the name of a Host header without its port; empty: it has none."""
    with suppress(ValueError):
        return urlsplit(f"//{host}").hostname or ""
    return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


def is_this_machine_only(host: str) -> bool:
    """Return whether nobody else reaches who listens there."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def delete_oldest(folder: Path, limit: int) -> None:
    """Delete the oldest files in a folder and in those within it, until the rest is within a limit.

    Args:
        folder: The folder.
        limit: In bytes.
    """
    found = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # gradio deletes some itself
            if path.is_file():
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= limit:
            break
        path.unlink(missing_ok=True)
        total -= size
