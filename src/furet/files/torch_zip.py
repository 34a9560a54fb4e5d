"""The zip archives that PyTorch writes: entries are stored as they are, so tensor data can be mapped.

    local header · data      for each entry
    directory                one row per entry, with the place of its local header
    end of directory

Zip is a format of many freedoms, and two readers may see two archives in one file. Those freedoms are refused:
nothing compressed or encrypted, no gap before or behind the directory, no two entries of one name or in one place,
and every local header says what the directory says.

Source: PKWARE's APPNOTE on the zip file format, sections 4.3 to 4.5.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from furet.errors import ModelFileError
from furet.files.mapped import MappedFile

MAX_ENTRIES = 1 << 15
MAX_DIRECTORY = 8 << 20  # bytes
MAX_NAME = 255

_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_ROW = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")

_ENCRYPTED, _SIZES_FOLLOW = 1 << 0, 1 << 3
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF

_INCOMPLETE = "the file is incomplete: download or copy it again"
_DAMAGED = "the file is damaged: download it again, or from another source"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an entry's data lies in the file: bytes from its start, and how many."""

    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the directory; `begin` is where it stands, `local` where the entry's own header does."""

    name: str
    begin: int
    flags: int
    nbytes: int
    local: int


def read_directory(file: MappedFile) -> Mapping[str, Entry]:
    """Where every entry of an archive lies, by name; ModelFileError for any archive out of the ordinary."""
    count, begin, nbytes = _end(file)
    data = file.copy(begin, nbytes)
    rows: dict[str, _Row] = {}
    at = 0
    for _ in range(count):
        row, size = _row(file, data, begin, at)
        if row.name in rows:
            _refuse(file, row.begin, row.name, "the name occurs twice")
        rows[row.name] = row
        at += size
    if at != nbytes:
        _refuse(file, begin + at, "directory", f"{nbytes - at} bytes behind its last row")
    return _placed(file, list(rows.values()), begin)


def _end(file: MappedFile) -> tuple[int, int, int]:
    """(rows, first byte, bytes) of the directory."""
    at = file.size - _END.size
    fields = _END.unpack(file.copy(at, _END.size)) if at >= 0 else (b"",)
    if fields[0] != b"PK\5\6":
        says = "the end of the archive is missing; wanted b'PK\\x05\\x06' 22 bytes before the end of the file"
        raise ModelFileError(says, _INCOMPLETE, path=file.path, offset=max(at, 0), field="end of directory")
    _, disk, first_disk, here, count, nbytes, begin, comment = fields
    if disk or first_disk or here != count or comment:
        _refuse(file, at, "end of directory", "an archive in several volumes, or with a comment")
    wide = _end_64(file, at)
    if wide:
        for narrow, full, exact in zip((count, nbytes, begin), (_FULL_16, _FULL_32, _FULL_32), wide[:3], strict=True):
            if narrow not in (full, exact):
                _refuse(file, at, "end of directory", f"says {narrow}, its 64-bit form {exact}")
        count, nbytes, begin, at = wide
    if count > MAX_ENTRIES or nbytes > MAX_DIRECTORY or count * _ROW.size > nbytes:
        says = f"{count} rows in {nbytes} bytes; at most {MAX_ENTRIES} and {MAX_DIRECTORY} are allowed"
        _refuse(file, at, "end of directory", says)
    if begin + nbytes != at:
        says = f"the directory is said to end at byte {begin + nbytes}, its end stands at {at}"
        _refuse(file, at, "end of directory", says)
    return count, begin, nbytes


def _end_64(file: MappedFile, end: int) -> tuple[int, int, int, int] | None:
    """(rows, bytes, first byte, own place) by the 64-bit form of the end, if there is one before byte `end`."""
    place = end - _LOCATOR.size
    if place < _END_64.size:
        return None
    magic, disk, begin, disks = _LOCATOR.unpack(file.copy(place, _LOCATOR.size))
    if magic != b"PK\6\7":
        return None
    if disk or disks > 1 or begin != place - _END_64.size:
        _refuse(file, place, "end of directory", f"its 64-bit form is said to be at byte {begin}")
    fields = _END_64.unpack(file.copy(begin, _END_64.size))
    magic, size, _, _, disk, first_disk, here, count, nbytes, first = fields
    if magic != b"PK\6\6" or size != _END_64.size - 12 or disk or first_disk or here != count:
        _refuse(file, begin, "end of directory", "its 64-bit form is malformed")
    return count, nbytes, first, begin


def _row(file: MappedFile, data: bytes | bytearray, base: int, at: int) -> tuple[_Row, int]:
    """The row at `at` of the directory, and how many bytes it takes."""
    begin = base + at
    if at + _ROW.size > len(data):
        _refuse(file, begin, "directory", "ends inside a row")
    fields = _ROW.unpack_from(data, at)
    magic, _, _, flags, method, _, _, _, packed, nbytes, name_size, extra_size, note_size, disk, _, _, local = fields
    size = _ROW.size + name_size + extra_size + note_size
    if magic != b"PK\1\2" or at + size > len(data):
        _refuse(file, begin, "directory", "a row is malformed")
    name = _name(file, begin, data[at + _ROW.size : at + _ROW.size + name_size])
    if method or flags & _ENCRYPTED:
        what = f"compressed (method {method})" if method else "encrypted"
        _refuse(file, begin, name, f"is {what}, wanted stored as it is")
    extra = data[at + _ROW.size + name_size : at + _ROW.size + name_size + extra_size]
    nbytes, packed, local = _widened(file, begin, name, extra, (nbytes, packed, local))
    if packed != nbytes or disk:
        _refuse(file, begin, name, f"{nbytes} bytes, stored in {packed}")
    return _Row(name, begin, flags, nbytes, local), size


def _name(file: MappedFile, begin: int, raw: bytes | bytearray) -> str:
    """A path inside the archive: plain components, no way up or out."""
    name = raw.decode("utf-8", "replace")
    parts = name.split("/")
    if not name.isprintable() or not 0 < len(raw) <= MAX_NAME or "\\" in name or "\ufffd" in name:
        _refuse(file, begin, "directory", f"{bytes(raw[:40])!r} is no name of an entry")
    if any(part in ("", ".", "..") for part in parts) or ":" in name:
        _refuse(file, begin, "directory", f"{name[:40]!r} leads out of the archive")
    return name


def _widened(
    file: MappedFile, begin: int, name: str, extra: bytes | bytearray, numbers: tuple[int, ...]
) -> tuple[int, ...]:
    """`numbers`, those that did not fit into 32 bits taken from the extra field."""
    missing = numbers.count(_FULL_32)
    if not missing:
        return numbers
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1 and size >= 8 * missing and at + 4 + 8 * missing <= len(extra):
            wide = iter(struct.unpack_from(f"<{missing}Q", extra, at + 4))
            return tuple(next(wide) if number == _FULL_32 else number for number in numbers)
        at += 4 + size
    _refuse(file, begin, name, "sizes of 64 bits are announced, and missing")
    return numbers


def _placed(file: MappedFile, rows: list[_Row], end: int) -> Mapping[str, Entry]:
    """The entries, each with its own header checked; none overlaps another, or the directory at byte `end`."""
    entries: dict[str, Entry] = {}
    free = 0
    for row in sorted(rows, key=lambda row: row.local):
        if row.local < free or (row.local and not free):
            _refuse(file, row.local, row.name, f"begins at byte {row.local}, wanted {free} or later")
        entry = _entry(file, row, end)
        free = entry.offset + entry.nbytes
        entries[row.name] = entry
    return entries


def _entry(file: MappedFile, row: _Row, end: int) -> Entry:
    """Where a row's data lies, by its local header, which must say what the row says."""
    raw = row.name.encode()
    if row.local + _LOCAL.size + len(raw) > end:
        _refuse(file, row.begin, row.name, f"begins at byte {row.local}, the directory at {end}")
    header = file.copy(row.local, _LOCAL.size + len(raw))
    magic, _, flags, method, _, _, _, packed, nbytes, name_size, extra_size = _LOCAL.unpack_from(header)
    if magic != b"PK\3\4" or name_size != len(raw) or header[_LOCAL.size :] != raw:
        _refuse(file, row.local, row.name, "the header there is of something else")
    offset = row.local + _LOCAL.size + name_size + extra_size
    if offset + row.nbytes > end:
        _refuse(file, row.begin, row.name, f"ends at byte {offset + row.nbytes}, the directory begins at {end}")
    if _FULL_32 in (packed, nbytes):
        extra = file.copy(row.local + _LOCAL.size + name_size, extra_size)
        nbytes, packed = _widened(file, row.local, row.name, extra, (nbytes, packed))
    unsaid = flags & _SIZES_FOLLOW and packed == nbytes == 0
    if flags != row.flags or method or not (unsaid or packed == nbytes == row.nbytes):
        _refuse(file, row.local, row.name, f"its header says {nbytes} bytes, the directory {row.nbytes}")
    return Entry(offset, row.nbytes)


def _refuse(file: MappedFile, offset: int, field: str, message: str) -> NoReturn:
    raise ModelFileError(message, _DAMAGED, path=file.path, offset=offset, field=field[:80])
