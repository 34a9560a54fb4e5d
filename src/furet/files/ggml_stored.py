"""A tensor as it lies in one file, or divided among the parts of an old LLaMA model.

The checkpoints of LLaMA 13B, 30B and 65B came in 2, 4 and 8 parts, and so did the files made of them: vectors
whole in each, matrices divided by their rows or by their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from furet.files.ggml_blocks import Block
from furet.files.ggml_layouts import Split
from furet.files.ggml_proof import Reading
from furet.files.mapped import MappedFile


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor, whole.

    pieces   (file, first byte in it) of each piece, all of one size
    split    how the pieces divide it; rows need no more than to follow each other
    """

    name: str
    block: Block
    shape: tuple[int, ...]
    pieces: tuple[tuple[int, int], ...]
    split: Split

    @property
    def nbytes(self) -> int:
        """Bytes of all pieces."""
        return prod(self.shape) // self.block.values * self.block.nbytes

    @property
    def in_one_piece(self) -> bool:
        """Whether its bytes follow each other in one file."""
        return len(self.pieces) == 1

    def read(self, files: Sequence[MappedFile], offset: int, out: memoryview) -> None:
        """Fill `out` with its bytes from `offset` on, as if it were in one piece."""
        if self.split == "columns" and not self.in_one_piece:
            self._read_columns(files, offset, out)
            return
        size = self.nbytes // len(self.pieces)
        for number, (shard, start) in enumerate(self.pieces):
            first, last = max(offset, number * size), min(offset + len(out), (number + 1) * size)
            if first < last:
                place = out[first - offset : last - offset]
                files[shard].read(start + first - number * size, place)

    def _read_columns(self, files: Sequence[MappedFile], offset: int, out: memoryview) -> None:
        """Whole rows are put together of their pieces, then cut to what was asked for."""
        import numpy as np

        row = self.nbytes // self.shape[0]
        part = row // len(self.pieces)
        first, last = offset // row, -(-(offset + len(out)) // row)
        rows = np.empty((last - first, len(self.pieces), part), np.uint8)
        for number, (shard, start) in enumerate(self.pieces):
            piece = np.empty((last - first, part), np.uint8)
            files[shard].read(start + first * part, piece.reshape(-1).data)
            rows[:, number] = piece
        skip = offset - first * row
        out[:] = rows.reshape(-1)[skip : skip + len(out)].data


def join_parts(readings: Sequence[Reading]) -> dict[str, Stored]:
    """The tensors of a model from the records of its parts, one reading each."""
    first = readings[0]
    stored: dict[str, Stored] = {}
    for name, record in first.records.items():
        split = first.splits[name]
        parts = readings if split and len(readings) > 1 else readings[:1]
        pieces = tuple((shard, part.records[name].offset) for shard, part in enumerate(parts))
        shape = list(record.shape)
        if len(pieces) > 1:
            shape[0 if split == "rows" else 1] *= len(pieces)
        stored[name] = Stored(name, record.block, tuple(shape), pieces, split)
    return stored
