"""Reading protocol buffers without knowing their schema: fields as they come, every length checked.

Source   the wire format's documentation: a key is field number * 8 + wire type, as a varint
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from furet.errors import ModelFileError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT = 10  # bytes


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Each field of the message in [start, end): number, wire type, and a value.

    The value of a varint is (number, end of it); of anything else the place of its first byte and that behind
    its last. Raises ModelFileError with the offset of the field at fault.
    """
    at = start
    while at < end:
        here = at
        key, at = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at, end)
            yield number, kind, value, at
            continue
        if kind == BYTES:
            length, at = _varint(data, at, end)
        elif kind in _WIDTHS:
            length = _WIDTHS[kind]
        else:
            raise ModelFileError(f"field {number} has the wire type {kind}", offset=here)
        if length > end - at:
            raise ModelFileError(f"field {number} has {length} bytes, {end - at} are left", offset=here)
        yield number, kind, at, at + length
        at += length


def text_of(data: bytes, start: int, end: int) -> str:
    """The string in [start, end)."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise ModelFileError(f"is not UTF-8: {data[start : min(end, start + 32)]!r}", offset=start) from None


def float_of(data: bytes, start: int, end: int) -> float:
    """The 32-bit float in [start, end); bytes of another count are a ModelFileError."""
    if end - start != 4:
        raise ModelFileError(f"has {end - start} bytes, wanted the 4 of a float", offset=start)
    return float(struct.unpack_from("<f", data, start)[0])


def signed(value: int) -> int:
    """A varint as the 32-bit signed number that it stands for."""
    low = value & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    if at < end and data[at] < 0x80:  # most have one byte
        return data[at], at + 1
    value = shift = 0
    for place in range(at, min(end, at + _MAX_VARINT)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise ModelFileError("a number does not end", offset=at)
