"""Seeded damage to a file: bits, bytes, numbers of the header, and stretches cut, doubled or swapped in."""

from __future__ import annotations

import random
from collections.abc import Sequence

Field = tuple[int, int]  # position, bytes

EDGES = (
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    255,
    256,
    0x7FFF,
    0xFFFF,
    1 << 20,
    1 << 31,
    1 << 32,
    1 << 60,
    1 << 61,
    1 << 63,
)


def mutated(data: bytes, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> bytes:
    """`data` after 1 to 4 strokes of damage, most of them to `fields`, the numbers of its header."""
    work = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if not work:
            break
        stroke = rng.choices(STROKES, WEIGHTS)[0]
        stroke(work, fields, others, rng)
    return bytes(work)


def _edge(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    """Set a number to one on the edge of something, or just beside it, in either byte order."""
    at, width = rng.choice(fields)
    value = rng.choice((rng.choice(EDGES) + rng.randint(-2, 2), -rng.randint(1, 64), rng.getrandbits(64)))
    work[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, rng.choice(("little", "big")))


def _nudge(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    """Change a number by a little."""
    at, width = rng.choice(fields)
    value = int.from_bytes(work[at : at + width], "little") + rng.choice((-32, -8, -1, 1, 8, 32))
    work[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def _copy(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    """Put one number of the header into the place of another."""
    (start, width), (target, _) = rng.choice(fields), rng.choice(fields)
    work[target : target + width] = work[start : start + width]


def _bit(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    work[rng.randrange(len(work))] ^= 1 << rng.randrange(8)


def _bytes(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(work))
    fresh = rng.choice(
        (rng.randbytes(rng.randint(1, 8)), b"\xff" * rng.randint(1, 8), bytes(rng.randint(1, 8)))
    )
    work[at : at + len(fresh)] = fresh


def _cut(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(work))
    del work[at : at + rng.randint(1, 40)]


def _double(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    at, count = rng.randrange(len(work)), rng.randint(1, 80)
    work[at:at] = work[at : at + count]


def _splice(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    """Overwrite a stretch with one of another file, from the same place or another."""
    other = rng.choice(others)
    at, count = rng.randrange(len(work)), rng.randint(1, 200)
    start = rng.choice((min(at, len(other)), rng.randrange(len(other))))
    work[at : at + count] = other[start : start + count]


def _end(work: bytearray, fields: Sequence[Field], others: Sequence[bytes], rng: random.Random) -> None:
    del work[rng.randrange(len(work)) :]


STROKES = (_edge, _nudge, _copy, _bit, _bytes, _cut, _double, _splice, _end)
WEIGHTS = (30, 12, 8, 15, 12, 6, 6, 8, 3)
