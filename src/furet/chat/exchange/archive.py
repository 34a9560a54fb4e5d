"""The JSON file inside a zip archive, within bounds, without writing anything to the disk."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import BinaryIO

from furet.chat.exchange.bounded import MAX_BYTES
from furet.errors import BadRequest

WANTED = "conversations.json"
MAX_ENTRIES = 50_000
MAX_DIRECTORY = 16 << 20  # bytes of the list of entries
MAX_RATIO = 100  # of JSON text to its compressed form, which is below 20 for conversations
SIGNATURE = b"PK\x03\x04"

_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OSError, RuntimeError)
_END = struct.Struct("<4s4H2IH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR_SIGNATURE = b"PK\x06\x07"  # of the form for archives beyond 4 GB
_LOCATOR_SIZE = 20


def read_archive(file: BinaryIO, name: str) -> bytes:
    """The bytes of conversations.json in an archive of any size; BadRequest when it has none or is beyond bounds."""
    _check_directory(file, name)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise BadRequest(f"{name}: {len(entries)} entries, wanted at most {MAX_ENTRIES}")
            found = [each for each in entries if each.filename.rsplit("/", 1)[-1] == WANTED]
            if len(found) != 1:
                raise BadRequest(f"{name}: {len(found)} files {WANTED}, wanted one", "give the JSON file itself")
            return _read(archive, found[0], f"{name}: {found[0].filename!r:.100}")
    except _DAMAGED as error:
        raise BadRequest(f"{name}: a damaged zip archive: {error}") from None


def _check_directory(file: BinaryIO, name: str) -> None:
    """Look at the end of the archive before anything is made of its list of entries."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END.size - 0xFFFF))
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise BadRequest(f"{name}: a damaged zip archive: its end is missing")
    _, _, _, _, entries, directory, _, _ = _END.unpack_from(tail, at)
    if tail[max(0, at - _LOCATOR_SIZE) : at].startswith(_LOCATOR_SIGNATURE):
        raise BadRequest(f"{name}: a zip archive of the form for more than 4 GB", "give the JSON file itself")
    if entries > MAX_ENTRIES or directory > MAX_DIRECTORY:
        raise BadRequest(f"{name}: {entries} entries in {directory} bytes, wanted at most {MAX_ENTRIES}")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    if entry.flag_bits & 1:
        raise BadRequest(f"{name}: encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadRequest(f"{name}: compressed by method {entry.compress_type}, wanted deflate")
    most = min(MAX_BYTES, MAX_RATIO * max(entry.compress_size, 1024))
    if entry.file_size > most:
        raise BadRequest(f"{name}: {entry.file_size} bytes out of {entry.compress_size}, wanted at most {most}")
    with archive.open(entry) as file:
        data = file.read(most + 1)  # what the archive says of its size is not relied upon
    if len(data) > most:
        raise BadRequest(f"{name}: more bytes than it says, wanted at most {most}")
    return data
