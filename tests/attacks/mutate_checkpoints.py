"""Seeded damage to safetensors headers, to the archives of checkpoints, and to the pickles within.

A random byte seldom gets past the first check. So beside bytes, what a format consists of is changed: tokens of the
JSON, fields of the archive, opcodes of the pickle; and the lengths around it are put right again, most of the time.
"""

from __future__ import annotations

import pickletools
import random
import re
import struct
from functools import cache
from pathlib import Path

from malformed_archives import SOUND, with_wide_end
from malformed_safetensors import SOUND as SAFE
from malicious_pickles import CASES
from mutate import EDGES, Field, mutated
from pickle_bytes import legacy, many, number, pickled, rebuilt, storage, table, text
from zip_bytes import checkpoint

from furet.files.torch_pickle import read_pickle

WRITTEN = Path(__file__).parents[1] / "files" / "checkpoints"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[0-9]+|[^\s"0-9]')
_LENGTH = 8  # bytes of the length before a safetensors header


@cache
def _safetensors_seeds() -> list[bytes]:
    return [SAFE, *(path.read_bytes() for path in sorted(WRITTEN.glob("*.safetensors")))]


def safetensors_case(rng: random.Random) -> bytes:
    """A damaged safetensors file."""
    seeds = _safetensors_seeds()
    data = rng.choice(seeds)
    if rng.random() < 0.3:
        return mutated(data, [(0, _LENGTH), (0, 1), (1, 1)], seeds, rng)
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    tokens = _TOKEN.findall(data[_LENGTH:end])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(tokens))
        stroke = rng.randrange(5)
        if stroke == 0:
            tokens[at : at + 1] = []
        elif stroke == 1:
            tokens.insert(at, rng.choice(tokens))
        elif stroke == 2:
            tokens[at] = rng.choice(tokens)
        elif stroke == 3:
            numbers = [i for i, token in enumerate(tokens) if token.isdigit()] or [at]
            tokens[rng.choice(numbers)] = _number(rng)
        else:
            begin, size = rng.randrange(len(tokens)), rng.randint(1, 24)
            tokens[at:at] = tokens[begin : begin + size]
        tokens = tokens or [b"{"]
    header = b"".join(tokens)
    length = len(header) if rng.random() < 0.95 else rng.choice(EDGES)
    return struct.pack("<Q", length % (1 << 64)) + header + data[end:]


def _number(rng: random.Random) -> bytes:
    near = rng.choice(EDGES) + rng.randint(-2, 2)
    return rng.choice((b"%d" % near, b"%d" % rng.randrange(64), b"-1", b"1.5", b"1e9", b"null", b"[]", b"9" * 30))


@cache
def _archive_seeds() -> list[tuple[bytes, list[Field]]]:
    written = [WRITTEN / name for name in ("zip.pt", "zip-protocol4.pt", "module.pt", "trainer.pt")]
    seeds = [SOUND, with_wide_end(), *(path.read_bytes() for path in written)]
    return [(data, archive_fields(data)) for data in seeds]


def archive_fields(data: bytes) -> list[Field]:
    """Where the numbers of an archive's headers lie, and how wide they are."""
    layouts = {b"PK\3\4": "HHHHHIIIHH", b"PK\1\2": "HHHHHHIIIHHHHHII", b"PK\5\6": "HHHHIIH"}
    layouts |= {b"PK\6\6": "QHHIIQQQQ", b"PK\6\7": "IQI"}
    fields: list[Field] = []
    for magic, layout in layouts.items():
        begin = data.find(magic)
        while begin >= 0:
            at = begin + 4
            for code in layout:
                width = struct.calcsize("<" + code)
                if at + width <= len(data):
                    fields.append((at, width))
                at += width
            begin = data.find(magic, begin + 4)
    return fields


def archive_case(rng: random.Random) -> bytes:
    """A damaged zip archive with a checkpoint in it."""
    seeds = _archive_seeds()
    data, fields = rng.choice(seeds)
    return mutated(data, fields, [each for each, _ in seeds], rng)


@cache
def _pickle_seeds() -> list[tuple[list[bytes], dict[str, bytes]]]:
    """Sound pickles as opcodes, each with the storages that it mentions."""
    view = many(text("1"), number(1), number(4))
    made = [
        pickled(table(a=rebuilt(), b=rebuilt(storage("1", 10), 2, (4, 2), (2, 1)))),
        pickled(table(model=table(a=rebuilt(storage("0", 6), 1, (2,), (2,))), epoch=number(3)), protocol=4),
        pickled(table(a=rebuilt(storage("0", 6, view=view), 0, (2, 2), (2, 1)))),
    ]
    for name in ("zip.pt", "zip-protocol4.pt", "module.pt", "attributes.pt"):
        data = (WRITTEN / name).read_bytes()
        begin = data.index(b"\x80")
        made.append(data[begin : begin + 1 + _pickle_length(data[begin:])])
    return [(_opcodes(each), _storages(each)) for each in made]


def _storages(data: bytes) -> dict[str, bytes]:
    return {key: bytes(each.nbytes) for key, each in read_pickle(data).storages.items()}


def _pickle_length(data: bytes) -> int:
    return max(at for _, _, at in pickletools.genops(data) if at is not None)


def _opcodes(data: bytes) -> list[bytes]:
    starts = [at for _, _, at in pickletools.genops(data) if at is not None]
    return [data[at:after] for at, after in zip(starts, [*starts[1:], len(data)], strict=True)]


@cache
def _wild() -> list[bytes]:
    """Opcodes of pickles that mean harm."""
    found: set[bytes] = set()
    for _, _, data in CASES:
        if len(data) < 500:
            try:
                found.update(_opcodes(data))
            except ValueError:  # not even the standard library can read it
                found.add(data)
    return sorted(found)


def pickle_case(rng: random.Random) -> bytes:
    """A checkpoint, of the new or the old form, around a damaged pickle."""
    seeds = _pickle_seeds()
    sound, storages = rng.choice(seeds)
    opcodes = list(sound)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5))):
        at = rng.randrange(len(opcodes))
        stroke = rng.randrange(7)
        if stroke == 0:
            del opcodes[at]
        elif stroke == 1:
            opcodes.insert(at, rng.choice(opcodes))
        elif stroke == 2:
            opcodes[at] = rng.choice(opcodes)
        elif stroke == 3:
            opcodes.insert(at, rng.choice(_wild()))
        elif stroke == 4:
            opcodes[at] = number(rng.choice((rng.randrange(16), -1, rng.choice(EDGES), rng.randrange(1 << 16))))
        elif stroke == 5:
            begin, size = rng.randrange(len(opcodes)), rng.randint(1, 40)
            opcodes[at:at] = opcodes[begin : begin + size]
        else:
            opcodes[at : at + 1] = rng.choice(seeds)[0][: rng.randrange(20)]
        opcodes = opcodes or [b"."]
    data = b"".join(opcodes)
    if rng.random() < 0.2:
        data = mutated(data, [(0, 1)], [b"".join(each) for each, _ in seeds], rng)
    return checkpoint(data, storages) if rng.random() < 0.7 else legacy(data, storages)
