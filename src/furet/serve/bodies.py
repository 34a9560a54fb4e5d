"""Bodies of requests: read within bounds of size and time, and JSON that has no surprises in it.

What programs disagree about is refused: NaN and infinity, numbers beyond 64 bits, names that occur twice, half a
surrogate pair, deep nesting.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

from starlette.types import Receive

from furet.errors import BadRequest, Busy
from furet.serve.limits import MAX_DEPTH

MAX_VALUES = 1 << 18  # in one body, counted by commas
_PIECE = 1 << 20  # bytes that are looked at together
_LARGEST = 1 << 64


class TooLarge(Exception):
    """A body of more bytes than allowed."""


class TooSlow(Exception):
    """A body that did not come in time."""


class Room:
    """What the bodies of all requests may take together.

    most    bytes
    taken   of these
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    @contextmanager
    def held(self) -> Iterator[Callable[[int], None]]:
        """What takes so many bytes more, and raises Busy where they are not there; at the end all are given back."""
        own = 0

        def take(count: int) -> None:
            nonlocal own
            if self.taken + count > self.most:
                raise Busy(f"the bodies of requests take {self.taken} bytes of {self.most}", "ask again later")
            self.taken += count
            own += count

        try:
            yield take
        finally:
            self.taken -= own


async def read_body(receive: Receive, most: int, seconds: float, take: Callable[[int], None]) -> bytes | None:
    """The body, or None when the client left.

    take    told of bytes as they come
    raises  TooLarge, TooSlow, and what `take` raises
    """

    async def read() -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            piece = message.get("body", b"")
            if len(body) + len(piece) > most:
                raise TooLarge
            take(len(piece))
            body += piece
            if not message.get("more_body", False):
                return bytes(body)

    try:
        return await asyncio.wait_for(read(), seconds)
    except asyncio.TimeoutError:
        raise TooSlow from None


def check_json(body: bytes) -> None:
    """Raise BadRequest, naming the place, unless the body is JSON within the bounds."""
    if body.count(b",") > MAX_VALUES and _commas(body) > MAX_VALUES:
        raise BadRequest(f"the body: wanted at most {MAX_VALUES} values")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refused, object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body: byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise BadRequest(f"the body: nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:  # also integers of thousands of digits
        raise BadRequest(f"the body is not JSON: {error!s:.200}") from None
    _check(value)


def _commas(body: bytes) -> int:
    """Commas outside of texts, before anybody knows whether this is JSON; in one pass, whatever it is."""
    import numpy as np

    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    count, inside = 0, False
    for start in range(0, len(plain), _PIECE):
        piece = np.frombuffer(plain, np.uint8, min(_PIECE, len(plain) - start), start)
        texts = np.logical_xor.accumulate(piece == ord('"')) ^ inside
        count += int(np.count_nonzero((piece == ord(",")) & ~texts))
        inside = bool(texts[-1])
    return count


def _refused(name: str) -> Any:
    raise BadRequest(f"the body: got {name}, wanted finite numbers")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise BadRequest(f"the body: the name {twice!r:.60} occurs twice in one object")
    return found


def _check(value: Any) -> None:
    """Numbers, texts and depth, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, str):
                _check_text(each)
            elif isinstance(each, list):
                below += each
            elif isinstance(each, dict):
                below += each
                below += each.values()
            elif isinstance(each, float) and not isfinite(each):
                raise BadRequest("the body: a number is beyond the range of float64, wanted finite numbers")
            elif isinstance(each, int) and abs(each) >= _LARGEST:
                raise BadRequest("the body: an integer needs more than 64 bits")
        if not below:
            return
        level = below
    raise BadRequest(f"the body: nested deeper than {MAX_DEPTH}")


def _check_text(text: str) -> None:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        raise BadRequest("the body: a text holds half a surrogate pair") from None
