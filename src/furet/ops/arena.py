"""A place for every value: one block of memory, whose places are used again as soon as their value is dead.

A value lives from the instruction that writes it to the last one that reads it. What an instruction reads
and what it writes never overlap, except for the pair that it names as `shared`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from furet.ops.instructions import Rotate
from furet.ops.passes import hidden_of
from furet.ops.values import Instruction, Kind, Value

ALIGNMENT = 64

RowBytes = Callable[[Kind, int], int]  # (kind, width) -> bytes of one row


@dataclass(frozen=True)
class Layout:
    """Where every value lies, in bytes from the start; the logits are the caller's and lie nowhere."""

    offsets: Mapping[Value, int]
    bytes: int


def lay_out(code: Sequence[Instruction], row_bytes: RowBytes, max_tokens: int, max_rows: int) -> Layout:
    """Place the values of a program for steps of up to `max_tokens` tokens and `max_rows` rows of logits."""
    rows = {"tokens": max_tokens, "rows": max_rows}
    last = {value: i for i, step in enumerate(code) for value in (*step.reads, *step.writes)}
    if (kept := hidden_of(list(code))) is not None:
        last[kept] = len(code)  # for `Program.read` after the step
    offsets: dict[Value, int] = {}
    live: dict[Value, tuple[int, int]] = {}  # value -> its place, from start to end
    total = 0
    for i, step in enumerate(code):
        for out in step.writes:
            if out.kind == "out":
                continue
            size = _round_up(row_bytes(out.kind, out.width) * rows[out.rows] * out.each)
            heir_of = _heir_of(step, out)
            if heir_of is not None and last[heir_of] == i:
                start, _ = live.pop(heir_of)
            else:
                assert not isinstance(step, Rotate), "nothing may read a value after its rotation"
                start = _first_gap(live.values(), size)
            offsets[out] = start
            live[out] = start, start + size
            total = max(total, start + size)
        live = {value: place for value, place in live.items() if last[value] > i}
    return Layout(offsets, total)


def _heir_of(step: Instruction, out: Value) -> Value | None:
    """The value whose place `out` may take, if its last reader is this instruction."""
    if step.shared is None or step.shared[1] is not out or step.reads.count(step.shared[0]) > 1:
        return None
    return step.shared[0]


def _first_gap(places: Iterable[tuple[int, int]], size: int) -> int:
    """The lowest start at which `size` bytes overlap none of the places, which do not overlap either."""
    start = 0
    for begin, end in sorted(places):
        if begin - start >= size:
            break
        start = end
    return start


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
