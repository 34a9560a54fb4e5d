"""Pickles put together opcode by opcode, sound ones and those that no pickler would write."""

from __future__ import annotations

import struct

STOP, MARK, REDUCE, BUILD, PERSISTENT = b".", b"(", b"R", b"b", b"Q"
NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"
LIST, DICT, TUPLE, NOTHING = b"]", b"}", b"t", b")"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
LEGACY_VERSION = b"\x80\x02M\xe9\x03."


def name(module: str, of: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{of}\n".encode()


def stack_name(module: str, of: str) -> bytes:
    """STACK_GLOBAL, with its two strings."""
    return short_text(module) + short_text(of) + b"\x93"


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short_text(value: str) -> bytes:
    """SHORT_BINUNICODE."""
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def old_text(value: str) -> bytes:
    """SHORT_BINSTRING, as Python 2 wrote."""
    raw = value.encode()
    return b"U" + bytes([len(raw)]) + raw


def number(value: int) -> bytes:
    """BININT1 or BININT, or LONG1 for what does not fit."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def many(*values: bytes) -> bytes:
    """A tuple."""
    return MARK + b"".join(values) + TUPLE


def pickled(*parts: bytes, protocol: int = 2) -> bytes:
    """A whole pickle."""
    return b"\x80" + bytes([protocol]) + b"".join(parts) + STOP


def storage(key: str = "0", count: int = 6, kind: str = "FloatStorage", *, view: bytes | None = None) -> bytes:
    """A reference to a storage."""
    parts = [text("storage"), name("torch", kind), text(key), text("cpu"), number(count)]
    return many(*parts, *([view] if view else [])) + PERSISTENT


def ordered() -> bytes:
    """An empty OrderedDict."""
    return name("collections", "OrderedDict") + NOTHING + REDUCE


def rebuilt(
    store: bytes | None = None, offset: int = 0, shape: tuple[int, ...] = (2, 3), stride: tuple[int, ...] = (3, 1)
) -> bytes:
    """A call of _rebuild_tensor_v2."""
    sizes, steps = many(*map(number, shape)), many(*map(number, stride))
    args = many(storage() if store is None else store, number(offset), sizes, steps, FALSE, ordered())
    return name("torch._utils", "_rebuild_tensor_v2") + args + REDUCE


def table(**entries: bytes) -> bytes:
    """A dictionary with text for keys."""
    return DICT + MARK + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def legacy(value: bytes, storages: dict[str, bytes] | None = None, *, width: int = 4) -> bytes:
    """A checkpoint of the form before zip around the pickle `value`; storages of `width` bytes a number."""
    stores = {"0": bytes(24)} if storages is None else storages
    machine = pickled(table(protocol_version=b"M\xe9\x03", little_endian=TRUE))
    keys = pickled(LIST, MARK, *map(text, stores), b"e")
    data = b"".join(struct.pack("<q", len(raw) // width) + raw for raw in stores.values())  # of one width
    return LEGACY_MAGIC + LEGACY_VERSION + machine + value + keys + data
