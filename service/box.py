"""
The search box's script for other sites: one file, its two addresses, its integrity hash. Knows nothing of answering.

`/search-box.js` is the newest and may be kept for minutes; `/search-box.<hash>.js` never changes, which is what lets a
page pin it with `integrity`. After an upgrade the old hash is gone and its address a 404: the form inside the element
then stays in use until the page takes the new snippet.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/search-box.js"
_FILE = Path(__file__).parent / "web" / "search-box.js"
_MEDIA_TYPE = "text/javascript; charset=utf-8"
# Five minutes: a mended box reaches every page within that, and a page view does not cost a request.
_SHORT = "public, max-age=300"
_FOR_GOOD = "public, max-age=31536000, immutable"
_HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class Box:
    """The script as served: its bytes, plain and compressed, and their SHA-256 in hex."""

    content: bytes
    compressed: bytes
    sha256: str

    @property
    def address(self) -> str:
        """Return the path that never changes its content."""
        return f"/search-box.{self.sha256[:_HASH_CHARS]}.js"

    @property
    def integrity(self) -> str:
        """Return the value of a script tag's `integrity`: SHA-384 of the plain bytes, as W3C SRI asks."""
        return f"sha384-{base64.b64encode(hashlib.sha384(self.content).digest()).decode()}"


def read_box(path: Path = _FILE) -> Box:
    """Read the script; compressed once, reproducibly."""
    content = path.read_bytes()
    return Box(content, gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest())


def add_box(app: FastAPI) -> Box:
    """
    Serve the script at both addresses to pages of every site; call it after the API's own CORS has been added.

    Returns:
        the box; also `app.state.box`, for pages that show the snippet.
    """
    box = read_box()
    for path, cache in ((PATH, _SHORT), (box.address, _FOR_GOOD)):
        app.add_api_route(path, _served(box, cache), methods=["GET"], include_in_schema=False)
    app.add_middleware(_ForEverySite, paths=frozenset({PATH, box.address}))
    app.state.box = box
    return box


def _served(box: Box, cache: str) -> Callable[[Request], Awaitable[Response]]:
    async def get_box(request: Request) -> Response:
        is_packed = _takes_gzip(request.headers.get("accept-encoding", ""))
        # A tag names bytes, and the two forms differ.
        tag = f'"{box.sha256[:_HASH_CHARS]}{"-gz" if is_packed else ""}"'
        headers = {
            "etag": tag,
            "cache-control": cache,
            "cross-origin-resource-policy": "cross-origin",
        }
        known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
        if tag in known or known == ["*"]:
            return Response(status_code=304, headers=headers)
        if is_packed:
            headers["content-encoding"] = "gzip"
        return Response(box.compressed if is_packed else box.content, headers=headers, media_type=_MEDIA_TYPE)

    return get_box


def _takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header names gzip, or anything, without refusing it by q=0."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameter = part.partition(";")
        value = parameter.strip().removeprefix("q=")
        try:
            weights[name.strip()] = float(value) if value else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


class _ForEverySite:
    """
    Lets pages of every site load the script, whatever the API's allow-list says; everything else passes untouched.

    A module script is always fetched with CORS. The API's middleware would answer with the one origin that asked, and a
    shared cache could hand that answer to another site.
    """

    def __init__(self, app: ASGIApp, paths: frozenset[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = "*"
                headers["vary"] = "Accept-Encoding"
            await send(message)

        # Without an Origin the API's CORS has nothing to say. In place: the log reads the route from this very scope.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self._app(scope, receive, send_on)
