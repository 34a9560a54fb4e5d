"""The page's own files: read once, told apart by their digests, and compressed beforehand."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from furet.errors import NotFound

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types furet",
    )
)


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str


@cache
def web() -> dict[str, File]:
    """All files of the page, by their path below /ui/."""
    found = dict(_read(files("furet.serve") / "web", ""))
    # The modules are asked for at once, not one after the other as they name each other.
    modules = "".join(f'<link rel="modulepreload" href="/ui/{path}">' for path in found if path.endswith(".js"))
    found["index.html"] = found["index.html"].replace(b"<!-- modules -->", modules.encode())
    return {path: _file(path, data) for path, data in found.items()}


def _read(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _read(each, f"{path}{each.name}/")
        elif _ending(each.name) in TYPES:
            yield path + each.name, each.read_bytes()


def _file(path: str, data: bytes) -> File:
    tag = f'"{hashlib.sha256(data).hexdigest()[:24]}"'
    return File(TYPES[_ending(path)], data, gzip.compress(data, 9, mtime=0), tag)


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def routes() -> APIRouter:
    """The page at /ui/, and its files below."""
    router = APIRouter()

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    @router.api_route("/ui", methods=["GET", "HEAD"], include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/ui/", 303)

    @router.api_route("/ui/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(request: Request) -> Response:
        return _sent(request, "index.html")

    @router.api_route("/ui/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def file(request: Request, path: str) -> Response:
        return _sent(request, path)

    return router


def _sent(request: Request, path: str) -> Response:
    file = web().get(path)  # never a path of the disk
    if file is None:
        raise NotFound(f"{path:.80}: no such file of the page")
    headers = {
        "etag": file.tag,
        "cache-control": "no-cache",  # kept, and asked for again each time: a new version is seen at once
        "content-security-policy": POLICY,
        "vary": "accept-encoding",
    }
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if packed else file.plain, media_type=file.media_type, headers=headers)
