"""Zip archives put together field by field, sound ones as PyTorch writes them and every other kind."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pickle_bytes import pickled, rebuilt, table


@dataclass
class Made:
    """One entry; the local fields default to those of the directory."""

    name: str
    data: bytes
    flags: int = 0x0808
    method: int = 0
    size: int | None = None
    packed: int | None = None
    local: int | None = None
    local_name: str | None = None
    local_size: int = 0
    local_flags: int | None = None
    local_extra: bytes = b""
    extra: bytes = b""
    note: bytes = b""
    magic: bytes = b"PK\1\2"
    raw_name: bytes | None = None


def archive(
    entries: dict[str, bytes] | list[Made],
    *,
    before: bytes = b"",
    gap: bytes = b"",
    after: bytes = b"",
    count: int | None = None,
    begin: int | None = None,
    size: int | None = None,
    comment: bytes = b"",
    wide: bytes | None = None,
    disk: int = 0,
) -> bytes:
    """An archive of stored entries; `wide` goes between the directory and its end."""
    made = [Made(name, data) for name, data in entries.items()] if isinstance(entries, dict) else entries
    body, rows = bytearray(before), bytearray()
    for entry in made:
        raw = entry.name.encode() if entry.raw_name is None else entry.raw_name
        local_raw = raw if entry.local_name is None else entry.local_name.encode()
        nbytes = len(entry.data) if entry.size is None else entry.size
        packed = nbytes if entry.packed is None else entry.packed
        local = len(body) if entry.local is None else entry.local
        flags = entry.flags if entry.local_flags is None else entry.local_flags
        head = (b"PK\3\4", 0, flags, entry.method, 0, 0, 0, entry.local_size, entry.local_size)
        body += struct.pack("<4sHHHHHIIIHH", *head, len(local_raw), len(entry.local_extra))
        body += local_raw + entry.local_extra + entry.data
        row = (entry.magic, 0, 0, entry.flags, entry.method, 0, 0, 0, packed, nbytes, len(raw), len(entry.extra))
        rows += struct.pack("<4sHHHHHHIIIHHHHHII", *row, len(entry.note), 0, 0, 0, local)
        rows += raw + entry.extra + entry.note
    at = len(body) + len(gap) if begin is None else begin
    number = len(made) if count is None else count
    nbytes = len(rows) if size is None else size
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", disk, disk, number & 0xFFFF, number & 0xFFFF, nbytes, at, len(comment))
    return bytes(body + gap + rows + (wide or b"") + end + comment + after)


def wide_end(count: int, nbytes: int, begin: int, *, at: int | None = None, magic: bytes = b"PK\6\6") -> bytes:
    """The 64-bit form of the end of the directory, and what points to it."""
    place = begin + nbytes if at is None else at
    return struct.pack("<4sQHHIIQQQQ", magic, 44, 0, 0, 0, 0, count, count, nbytes, begin) + struct.pack(
        "<4sIQI", b"PK\6\7", 0, place, 1
    )


def checkpoint(pickle: bytes | None = None, storages: dict[str, bytes] | None = None, **others: bytes) -> bytes:
    """A checkpoint around the pickle `pickle`."""
    value = pickled(table(a=rebuilt())) if pickle is None else pickle
    stores = {"0": bytes(24)} if storages is None else storages
    entries = {"x/data.pkl": value, **{f"x/{name}": data for name, data in others.items()}}
    return archive(entries | {f"x/data/{key}": data for key, data in stores.items()})
