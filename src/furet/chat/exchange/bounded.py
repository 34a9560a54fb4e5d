"""JSON read piece by piece, within bounds.

A list of a million empty lists is three megabytes of text and a hundred of memory. So the text is first walked through,
string by string and bracket by bracket, without building anything: depth and number of values are known before
`json.loads` sees a piece, and of a list that is the whole document only one element is in memory at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from furet.errors import BadRequest

MAX_BYTES = 256 << 20  # of a document
MAX_DEPTH = 64
MAX_ELEMENT = 64 << 20  # bytes of an element of the list that is the document
MAX_VALUES = 2_000_000  # in such an element
MAX_ELEMENTS = 50_000

_OUTSIDE = re.compile(rb'[\[\]{},"]')
_INSIDE = re.compile(rb'["\\]')
_LIST = re.compile(rb"[ \t\r\n]*\[")
_SPACE = b" \t\r\n"


def elements(data: bytes, name: str) -> Iterator[Any]:
    """The elements of the list that a document is, or the document itself when it is none.

    name    of the document, for errors
    raises  BadRequest, saying where, for what is not JSON or is beyond the bounds
    """
    if len(data) > MAX_BYTES:
        raise BadRequest(f"{name}: larger than {MAX_BYTES >> 20} MB")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if beginning := _LIST.match(data):
        for number, (start, end) in enumerate(_spans(data, beginning.end(), name), 1):
            if number > MAX_ELEMENTS:
                raise BadRequest(f"{name}: more than {MAX_ELEMENTS} elements")
            yield _value(data[start:end], f"{name}: element {number}")
    else:
        depth = 0
        for values, (character, _) in enumerate(_tokens(data, 0, name)):
            depth += _step(character)
            _check(depth, values, len(data), name)
        yield _value(data, name)


def _spans(data: bytes, start: int, name: str) -> Iterator[tuple[int, int]]:
    """Where each element of the outermost list stands, which begins at `start`."""
    depth, values, number = 1, 0, 1
    for character, place in _tokens(data, start, name):
        depth += _step(character)
        if depth == 0 or (depth == 1 and character == b","):
            if depth or number > 1 or data[start:place].strip(_SPACE):
                yield start, place
            start, values, number = place + 1, 0, number + 1
        if depth == 0:
            break
        values += 1
        _check(depth, values, place - start, f"{name}: element {number}")
    if depth or data[start:].strip(_SPACE):
        raise BadRequest(f"{name}: not JSON: the list does not end where the file does")


def _tokens(data: bytes, at: int, name: str) -> Iterator[tuple[bytes, int]]:
    """Every bracket, comma and string from a place on: its first character, and where that stands."""
    # A single expression for strings with their escapes would need memory for each escape.
    while found := _OUTSIDE.search(data, at):
        at = found.end()
        if found[0] == b'"':
            while (inside := _INSIDE.search(data, at)) and inside[0] != b'"':
                at = inside.end() + 1
            if inside is None:
                raise BadRequest(f"{name}: not JSON: a text without an end at byte {found.start()}")
            at = inside.end()
        yield found[0], found.start()


def _step(character: bytes) -> int:
    """How much deeper it is after a token."""
    return (character in b"[{") - (character in b"]}")


def _check(depth: int, values: int, size: int, name: str) -> None:
    if depth > MAX_DEPTH:
        raise BadRequest(f"{name}: nested more than {MAX_DEPTH} deep")
    if values > MAX_VALUES:
        raise BadRequest(f"{name}: more than {MAX_VALUES} values")
    if size > MAX_ELEMENT:
        raise BadRequest(f"{name}: larger than {MAX_ELEMENT >> 20} MB")


def _value(text: bytes, name: str) -> Any:
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{name}: not JSON: {error}") from None
