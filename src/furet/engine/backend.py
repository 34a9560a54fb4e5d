"""What runs a step: the native program, or the reference interpreter behind the same few methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from furet import _core
    from furet.engine.plan import Settings
    from furet.families.family import Family
    from furet.files.gguf import GGUF
    from furet.ops import Source, Tensor


class Cache(Protocol):
    """What one sequence remembers of its tokens."""

    @property
    def length(self) -> int:
        """Tokens held."""

    @property
    def recurrent(self) -> bool:
        """Whether there is a state of all tokens, which can only be forgotten as a whole."""

    def truncate(self, length: int) -> None:
        """Forget the tokens from `length` on."""


class Backend(Protocol):
    """A model that steps; one step at a time.

    vocab       V, width of a row of logits
    max_tokens  of one step
    max_rows    of logits of one step
    """

    vocab: int
    max_tokens: int
    max_rows: int

    def new_cache(self, capacity: int) -> Cache:
        """An empty cache for one sequence of up to `capacity` tokens."""

    def step(self, tokens: Sequence[int], cache: Any, first_row: int, out: NDArray[np.float32]) -> None:
        """Append tokens to a cache; logits of those from `first_row` on go into out. [T] -> [R, V]"""


def compile_backend(decoder: Family, file: GGUF, settings: Settings, context: int) -> Backend:
    """The backend that the settings name, ready to step."""
    chunk = min(settings.chunk, context)
    if settings.backend == "reference":
        return ReferenceBackend(decoder, file, chunk)
    return NativeBackend(decoder, file, chunk, settings)


class NativeBackend:
    """A traced program on the C++ core; a step runs without the GIL.

    Matrices are packed into memory of their own, tensor by tensor, and the file's pages given back as it
    goes; without `repack` they stay in the mapped file. Rows of the embedding are read as they are needed.
    """

    def __init__(self, decoder: Family, file: GGUF, chunk: int, settings: Settings) -> None:
        from furet import _core
        from furet.engine.plan import LOGITS_ROWS
        from furet.ops.native import compile

        self._file = file
        self._pool = _core.Pool(settings.threads)
        self._rows = StepRows(file, chunk)
        self._compiled = compile(
            decoder.forward,
            file,
            max_tokens=chunk,
            max_rows=min(LOGITS_ROWS, chunk),
            pack=self._pack if settings.repack else _leave,
            table=self._rows.table,
        )
        self.vocab = self._compiled.vocab
        self.max_tokens = self._compiled.max_tokens
        self.max_rows = self._compiled.max_rows

    def new_cache(self, capacity: int) -> Cache:
        return self._compiled.new_cache(capacity)

    def step(self, tokens: Sequence[int], cache: Any, first_row: int, out: NDArray[np.float32]) -> None:
        self._rows.read(tokens)
        places = np.arange(len(tokens), dtype=np.int32)
        self._compiled.program.step(self._pool, places, [(cache, len(tokens))], places[first_row:], out)

    def _pack(self, name: str, weight: _core.Weight) -> None:
        if weight.pack(self._pool):
            self._file.release(name)


class StepRows:
    """The rows of the embedding that a step looks up, in the order of its tokens.

    A program made over these tables takes places in the step for token ids.
    """

    def __init__(self, file: GGUF, max_tokens: int) -> None:
        self._file = file
        self._max_tokens = max_tokens
        self._tables: list[tuple[Tensor, NDArray[np.uint8]]] = []  # [max_tokens, row bytes] each

    def table(self, tensor: Tensor) -> _core.Weight:
        """A weight of as many rows as a step has tokens, filled by `read`."""
        from furet import _core
        from furet.ops.native import require_readable

        require_readable(tensor)
        columns = tensor.shape[1]
        rows = np.zeros((self._max_tokens, tensor.type.row_bytes(columns)), dtype=np.uint8)
        self._tables.append((tensor, rows))
        return _core.Weight(rows.reshape(-1), tensor.type, self._max_tokens, columns)

    def read(self, tokens: Sequence[int]) -> None:
        """Fetch the rows of a step's tokens."""
        from furet.ops.stored import read_row

        for tensor, rows in self._tables:
            for row, token in zip(rows, tokens, strict=False):
                read_row(tensor, self._file, token, row)


def _leave(name: str, weight: _core.Weight) -> None:
    """Keep a matrix as the file has it."""


class ReferenceBackend:
    """The NumPy interpreter: slow, float64, the answer by definition."""

    def __init__(self, decoder: Family, source: Source, chunk: int) -> None:
        from furet.ops.reference import decoder as decoded

        self._forward = decoder.forward
        self._decode = decoded(source)
        self.vocab = decoder.config.vocab
        self.max_tokens = chunk
        self.max_rows = chunk

    def new_cache(self, capacity: int) -> Cache:
        from furet.ops.reference import Cache as ReferenceCache

        return ReferenceCache()

    def step(self, tokens: Sequence[int], cache: Any, first_row: int, out: NDArray[np.float32]) -> None:
        from furet.ops.reference import step

        rows = np.arange(first_row, len(tokens))
        out[:] = step(self._forward, self._decode, tokens, [(cache, len(tokens))], rows)
