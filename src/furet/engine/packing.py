"""Packing: a model's matrices are copied into the order in which the kernels read them while it is at work already.

That takes longer than a short prompt does. So the first step reads the file, and the matrices follow between the steps
after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from furet import _core
    from furet.convert import ModelFile

SLICE = 8 << 20  # bytes of a matrix whose copy and whose pages of the file are in memory together


class _Waiting(NamedTuple):
    file: ModelFile
    name: str
    weight: _core.Weight
    room: _core.Packed


class Packing:
    """The matrices that are still to be packed. One caller at a time, and none within a step."""

    def __init__(self, pool: _core.Pool) -> None:
        self._pool = pool
        self._waiting: deque[_Waiting] = deque()

    def add(self, file: ModelFile, matrices: Mapping[str, _core.Weight]) -> None:
        """Have these tensors of a file packed too, the first ones first."""
        from furet import _core

        room = _core.Packed(sum(weight.packed_bytes for weight in matrices.values()))
        self._waiting += (_Waiting(file, name, weight, room) for name, weight in matrices.items())

    def go_on(self, seconds: float) -> bool:
        """Pack one matrix or more, for about so long, and give back the file's pages; whether any is left."""
        until = perf_counter() + seconds
        while self._waiting:
            file, name, weight, room = self._waiting[0]
            packed = False
            while not packed:
                packed = weight.pack(self._pool, room, SLICE)
                file.release(name)
            self._waiting.popleft()
            if perf_counter() >= until:
                break
        return bool(self._waiting)
