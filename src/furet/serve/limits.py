"""What the server accepts, how much of it, and from whom."""

from __future__ import annotations

import re
from dataclasses import dataclass

from furet.errors import BadRequest

MAX_BODY = 32 << 20  # bytes
MAX_BODIES = 64 << 20  # bytes of the bodies of all requests that are being read or answered
MAX_KEPT = 16 << 20  # bytes of the responses that later requests may refer to
MAX_HEADERS = 32 << 10  # bytes, names and values
MAX_HEADER_COUNT = 100
MAX_TARGET = 8 << 10  # bytes of path and query
MAX_DEPTH = 64  # of JSON
HEAD_SECONDS = 30.0  # in which a connection must have brought the head of a request
BODY_SECONDS = 60.0  # in which a body must have come
MAX_MESSAGES = 4096
MAX_TOOLS = 128
MAX_CHOICES = 16  # answers of one request
MAX_NAME = 200  # characters of a model's name
MAX_TEXT = 16 << 20  # characters of one text
MAX_TOKENS = 1 << 20  # of one list of token ids

OWN = 100_000_000 + 3 * MAX_BODIES + MAX_KEPT
"""Bytes of the server's own process, which its models do not get: 89 MB at their peak with the page, and a few for many
callers; a body as it came, as the texts in it, and once more while it is checked or handed on; what is kept.
"""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\-\[\]:]+")
_HOST = re.compile(r"[a-z0-9._-]+(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True)
class ServerSettings:
    """How a server is reached.

    host, port          where it listens; only what a loopback address reaches by default
    token               what callers must show, or None: everybody who reaches the server may use it
    allowed_hosts       names besides the loopback ones under which it may be called, "name" or "name:port"
    allowed_origins     pages of other origins that may call it, as "https://name:port"
    max_body            bytes of a request
    keep_alive          seconds without a word after which a stream says that it is alive
    raises              BadRequest naming the field
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_body: int = MAX_BODY
    keep_alive: float = 10.0

    def __post_init__(self) -> None:
        if self.token is not None and (len(self.token) < 8 or not self.token.isascii() or not self.token.isprintable()):
            raise BadRequest("token: wanted at least 8 printable ASCII characters")
        for name in self.allowed_hosts:
            if not _HOST.fullmatch(name):
                raise BadRequest(f"allowed_hosts: got {name!r:.80}, wanted a name or name:port in lower case")
        for origin in self.allowed_origins:
            if not _ORIGIN.fullmatch(origin):
                raise BadRequest(f"allowed_origins: got {origin!r:.80}, wanted scheme://name or scheme://name:port")
