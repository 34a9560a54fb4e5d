"""HTTP as the store needs it: GET with ranges, redirects followed by hand, the token for one host only.

Built on urllib. The hub's own client imports for a second, forgets an interrupted download, does not compare
digests, and changed its HTTP library twice; what is needed of it here is two kinds of GET.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import TypeVar

T = TypeVar("T")

TIMEOUT = 15.0
"""Seconds without a byte, or without a connection, after which a request is given up."""

_REDIRECTS = 6
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Unreachable(Exception):
    """No answer, or an answer cut short; the text says why in a few words."""


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, headers: Message) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


class Response:
    """A body being received; what goes wrong while reading raises Unreachable."""

    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self._raw = raw
        self.status: int = raw.status
        self.headers: Message = raw.headers

    def read(self, limit: int) -> bytes:
        """Up to `limit` bytes, as soon as there are some; none at the end of the body."""
        try:
            return self._raw.read1(limit)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_reason(error)) from error

    def read_whole(self, limit: int) -> bytes:
        """The body, which must not be longer than `limit` bytes."""
        parts, length = [], 0
        while part := self.read(1 << 16):
            parts.append(part)
            length += len(part)
            if length > limit:
                raise Unreachable(f"the answer is longer than {limit} bytes")
        return b"".join(parts)

    def close(self) -> None:
        """Drop the connection."""
        self._raw.close()


def get(url: str, *, token: str = "", span: tuple[int, int | None] | None = None) -> Response:
    """The answer to a GET, after redirects.

    token   sent to the host of `url` only, and only over TLS or inside this machine
    span    first byte and last byte (None: to the end) wanted
    raises  Refused for an error status, Unreachable for everything else
    """
    home = _origin(url)
    opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=_trust()))
    for _ in range(_REDIRECTS):
        request = urllib.request.Request(url, headers={"User-Agent": "furet", "Accept-Encoding": "identity"})
        if token and _origin(url) == home and _private(home):
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        if span:
            request.add_header("Range", f"bytes={span[0]}-{'' if span[1] is None else span[1]}")
        try:
            response = Response(opener.open(request, timeout=TIMEOUT))
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in (301, 302, 303, 307, 308) or not error.headers.get("Location"):
                    raise Refused(error.code, error.headers) from None
                url = _follow(url, error.headers["Location"])
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"{host(url)}: {_reason(error)}") from None
        if response.headers.get("Content-Encoding", "identity") != "identity":
            response.close()
            raise Unreachable(f"{host(url)}: the body came compressed though that was refused")
        return response
    raise Unreachable(f"{host(url)}: more than {_REDIRECTS} redirects")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call that may take so long; Unreachable when it takes longer.

    One clock for name lookup, connection, handshake and answer: a socket's timeout covers each try of each
    address, and name lookup knows none. The thread of a call given up on dies with the process.
    """
    answer: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((call(), None))
        except BaseException as error:
            answer.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise Unreachable(f"no answer in {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # no error means that the call returned


def host(url: str) -> str:
    """The host of an address, for messages: paths may hold signatures, credentials may precede the host."""
    return urllib.parse.urlsplit(url).hostname or "?"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _follow(url: str, location: str) -> str:
    target = urllib.parse.urljoin(url, location)
    scheme = urllib.parse.urlsplit(target).scheme
    if scheme != "https" and scheme != urllib.parse.urlsplit(url).scheme:
        raise Unreachable(f"{host(url)}: refused to be redirected from https to {scheme or 'nothing'}")
    return target


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable(f"{parts.scheme}://{parts.hostname or ''} is no address of a web server")
    return parts.scheme, parts.hostname, parts.port


def _private(origin: tuple[str, str | None, int | None]) -> bool:
    return origin[0] == "https" or origin[1] in _LOOPBACK


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        try:
            import certifi  # comes with huggingface-hub; some builds of Python find no system certificates
        except ImportError:
            return context
        context.load_verify_locations(certifi.where())
    return context


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return _reason(error.reason)
    if isinstance(error, socket.gaierror):
        return "name not found (no network?)"
    if isinstance(error, TimeoutError):
        return f"silent for {TIMEOUT:.0f} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut"
    return str(getattr(error, "strerror", "") or error) or type(error).__name__
