"""A hub on 127.0.0.1: the listing of a repository, redirects to a second host, ranges, all misbehaviour."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = random.Random(1).randbytes(600_000)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Request:
    """What one of the two hosts was asked."""

    host: str
    path: str
    range: str
    authorization: str


@dataclass
class FakeHub:
    """Repositories by id, each with files by name; what goes wrong; and what was asked.

    cuts       how often a body is cut after `cut_after` bytes
    pace       seconds to sleep before each 64 KiB of a body
    status     answer everything but the listing with this status and headers
    listing    answer a listing with these bytes instead
    alter      send other bytes than were listed
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    ranges: bool = True
    cuts: int = 0
    cut_after: int = 100_000
    pace: float = 0.0
    silent: bool = False
    status: tuple[int, dict[str, str]] | None = None
    listing: bytes | None = None
    alter: bool = False
    redirect: str = ""
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    cdn: str = ""

    def bodies(self) -> list[Request]:
        return [request for request in self.requests if request.host == "cdn"]


@contextlib.contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    """Run the hub and its file host until the end of the block."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, name)) for name in ("hub", "cdn")]
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _handler(hub: FakeHub, host: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers
            hub.requests.append(
                Request(host, self.path, asked.get("Range", ""), asked.get("Authorization", ""))
            )
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if hub.silent:
                    time.sleep(30)
                elif host == "cdn":
                    self.file()
                elif self.path.startswith("/api/"):
                    self.list()
                else:
                    self.resolve()

        def list(self) -> None:
            found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/main\?blobs=True", self.path)
            repo = found and next((name for name in hub.repos if name.lower() == found[1].lower()), None)
            if hub.listing is not None:
                self.answer(200, hub.listing)
            elif not repo:
                self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
            else:
                siblings = [_sibling(name, data) for name, data in hub.repos[repo].items()]
                self.answer(200, json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode())

        def resolve(self) -> None:
            if hub.status:
                self.answer(hub.status[0], b"", hub.status[1])
            else:
                location = hub.redirect or f"{hub.cdn}{self.path}"
                self.answer(302, b"", {"Location": location, "X-Repo-Commit": COMMIT})

        def file(self) -> None:
            _, org, name, _, _, file = self.path.split("/", 5)
            data = hub.repos[f"{org}/{name}"][file]
            if hub.alter:
                data = bytes(len(data))
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if hub.ranges else None
            first = int(span[1]) if span else 0
            last = min(len(data), int(span[2]) + 1 if span and span[2] else len(data))
            self.send_response(206 if span else 200)
            self.send_header("Content-Length", str(last - first))
            if span:
                self.send_header("Content-Range", f"bytes {first}-{last - 1}/{len(data)}")
            self.end_headers()
            if hub.cuts:
                hub.cuts -= 1
                last = min(last, first + hub.cut_after)
            for at in range(first, last, 1 << 16):
                time.sleep(hub.pace)
                piece = data[at : min(at + (1 << 16), last)]
                hub.sent += len(piece)  # before the client can see them
                self.wfile.write(piece)

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    git_id = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_id}
    if len(data) > 1000:  # small files are not in large-file storage
        entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry
