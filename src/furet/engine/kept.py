"""Keys and values of a text in a file, so that a conversation is taken up again without reading it anew.

    magic, length of the header (uint32), header (JSON), then blocks as the core has them, the last one as a whole, too

It is a cache: it belongs to one model file, one type of keys and values and one instruction set, whose bits it has, and
a file that does not fit is none. Written beside its name and renamed, readable by its owner alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import BinaryIO
from zlib import crc32

import numpy as np

from furet.engine.paged import PagedCaches
from furet.engine.prefixes import BLOCK, Node
from furet.engine.scheduler import Scheduler

MAGIC = b"furet keys and values 1\n"
MAX_HEADER = 64 << 20
HEAD = 64 << 10  # bytes of a model file that tell it from others
_LENGTH = Struct("<I")


@dataclass(frozen=True)
class Header:
    """What the blocks are of.

    model   names the model file, the type and the instruction set
    tokens  that they hold
    bytes   of a block
    sums    CRC-32 of each block
    """

    model: str
    tokens: list[int]
    bytes: int
    sums: list[int]


def identity(path: Path, kv: str) -> str:
    """What the bits of keys and values depend on."""
    from furet import _core

    found = path.stat()
    with path.open("rb") as file:
        head = sha256(file.read(HEAD)).hexdigest()
    return f"{head} {found.st_size} {found.st_mtime_ns} {kv} {_core.cpu()['isa']}"


def keep(scheduler: Scheduler, caches: PagedCaches, model: str, tokens: Sequence[int], path: Path) -> int:
    """Write what is known of these tokens, and return how many that are; an old file is replaced whole.

    raises  OSError
    """
    nodes = scheduler.call(lambda: caches.pin(tokens))
    if not nodes:
        return 0
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        known = [token for node in nodes for token in node.tokens]
        data = np.empty(caches.block_bytes, np.uint8)
        sums = []
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            room = len(_packed(Header(model, known, len(data), [0xFFFFFFFF] * len(nodes)))) + 2
            file.seek(room)
            for node in nodes:
                scheduler.call(lambda block=node.block: caches.read(block, data))  # type: ignore[misc]
                sums.append(crc32(data.data))
                file.write(data.data)
            file.seek(0)
            file.write(_packed(Header(model, known, len(data), sums), room))
        partial.replace(path)
        return len(known)
    finally:
        scheduler.call(lambda: caches.unpin(nodes))
        with suppress(OSError):
            partial.unlink()


def recall(scheduler: Scheduler, caches: PagedCaches, model: str, path: Path) -> int:
    """Take up what a file holds, as far as there is room; returns how many tokens are known.

    0 for a file that is damaged, or of another model.
    """
    nodes: list[Node] = []
    known = 0
    try:
        with path.open("rb") as file:
            header = _header(file)
            if header is None or header.model != model or header.bytes != caches.block_bytes:
                return 0
            for at, total in zip(range(0, len(header.tokens), BLOCK), header.sums, strict=True):
                data = np.fromfile(file, np.uint8, header.bytes)
                part = tuple(header.tokens[at : at + BLOCK])
                if len(data) < header.bytes or crc32(data.data) != total:
                    break
                node = scheduler.call(lambda: caches.add(nodes, part, data))  # noqa: B023
                if node is None:
                    break
                nodes.append(node)
                known += len(part)
        return known
    except OSError:
        return 0
    finally:
        scheduler.call(lambda: caches.unpin(nodes))


def _packed(header: Header, room: int = 0) -> bytes:
    text = json.dumps(asdict(header)).encode()
    text = text.ljust(room - len(MAGIC) - _LENGTH.size)
    return MAGIC + _LENGTH.pack(len(text)) + text


def _header(file: BinaryIO) -> Header | None:
    """The header of a file, checked; None when it is something else."""
    if file.read(len(MAGIC)) != MAGIC:
        return None
    length = file.read(_LENGTH.size)
    if len(length) < _LENGTH.size or _LENGTH.unpack(length)[0] > MAX_HEADER:
        return None
    try:
        values = json.loads(file.read(_LENGTH.unpack(length)[0]))
        header = Header(**values)
    except (ValueError, TypeError, RecursionError):
        return None
    lists = isinstance(header.tokens, list) and isinstance(header.sums, list)
    if not lists or not isinstance(header.bytes, int) or len(header.sums) != -(-len(header.tokens) // BLOCK):
        return None
    return header if all(type(token) is int for token in header.tokens) else None
