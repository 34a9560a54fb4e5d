"""What runs a step: the native program, or the reference interpreter behind the same few methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from furet.engine.packing import Packing
from furet.engine.steps import StepSizes, step_sizes

if TYPE_CHECKING:
    from furet import _core
    from furet.convert import ModelFile
    from furet.engine.plan import Settings
    from furet.families.family import Family
    from furet.ops import Ops, Source, Tensor
    from furet.ops.cached import CacheType
    from furet.ops.native import Compiled
    from furet.ops.values import Value


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


class BlockCache(Cache, Protocol):
    """One whose room is blocks that it is told of."""

    @property
    def capacity(self) -> int:
        """Tokens that it may hold."""

    def hold(self, blocks: Sequence[int], length: int) -> None:
        """These blocks hold so many tokens of this sequence."""


class Blocks(Protocol):
    """Room for keys and values of 64 tokens each."""

    @property
    def block_bytes(self) -> int:
        """Bytes of a block."""

    def copy(self, source: int, target: int) -> None:
        """What one block holds becomes what another does."""

    def read(self, block: int, out: NDArray[np.uint8]) -> None:
        """Copy what a block holds."""

    def write(self, block: int, data: NDArray[np.uint8]) -> None:
        """Make this what a block holds."""


class Run(NamedTuple):
    """What one sequence has in a step.

    tokens  that are appended to the cache
    rows    of logits, those that follow the last so many tokens
    """

    tokens: Sequence[int]
    cache: Any
    rows: int = 1


class Backend(Protocol):
    """A model that steps; one step at a time.

    vocab       V, width of a row of logits; of an encoder C
    width       C of what logits are made of; 0: unknown
    max_tokens  of one step
    max_rows    of logits of one step
    paged       whether sequences can be held in blocks
    """

    vocab: int
    width: int
    max_tokens: int
    max_rows: int
    paged: bool

    def new_cache(self, capacity: int) -> Cache:
        """An empty cache for one sequence of up to `capacity` tokens, with room of its own."""

    def new_blocks(self, count: int) -> Blocks:
        """So many blocks."""

    def new_block_cache(self, blocks: Any, capacity: int) -> BlockCache:
        """A cache that holds some of the blocks, none at first."""

    def step(self, runs: Sequence[Run], out: NDArray[np.float32]) -> None:
        """Append tokens to several caches; the rows that each wants go into out, one after the other. -> [R, V]"""

    def settle(self, seconds: float) -> bool:
        """Spend about so long on what makes the steps to come faster; whether any of that is left to do."""

    def hidden(self, out: NDArray[np.float32]) -> None:
        """What the first rows of the last step's logits were made of. -> [R, C]"""

    def read(self, tokens: Sequence[int], cache: Any) -> None:
        """Have the encoder read the text that an answer is to; the cache then holds no other tokens."""


def compile_backend(
    model: Family, file: ModelFile, settings: Settings, context: int, beside: Backend | None = None
) -> Backend:
    """The backend that the settings name, ready to step.

    beside  another one, which never steps at the same time: they share their threads, and settle together
    """
    sizes = step_sizes(model.kind, settings.chunk, context)
    if settings.backend == "reference":
        return ReferenceBackend(model, file, sizes, settings.kv)
    return NativeBackend(model, file, sizes, settings, beside if isinstance(beside, NativeBackend) else None)


class NativeBackend:
    """A traced program on the C++ core; a step runs without the GIL.

    Matrices are packed into memory of their own by `settle`; until then, and without `repack`, they are read from the
    mapped file. Rows of the embedding are read as they are needed.
    """

    def __init__(
        self,
        model: Family,
        file: ModelFile,
        sizes: StepSizes,
        settings: Settings,
        beside: NativeBackend | None = None,
    ) -> None:
        from furet import _core

        self._file = file
        self.pool: _core.Pool = beside.pool if beside else _core.Pool(settings.threads)
        self._packing: Packing = beside._packing if beside else Packing(self.pool)
        self._pack = partial(self._packing.add, file) if settings.repack else _leave
        self._reader = self._compile(model.encode, sizes.source, 1) if sizes.source else None
        self._rows, self._compiled = self._compile(model.forward, sizes.tokens, sizes.rows)
        self._source_room = sizes.source
        self._kv = settings.kv
        self.vocab = self._compiled.vocab
        self._hidden, self.width = self._compiled.hidden or (0, 0)
        shape = self._compiled.cache_shape
        self.paged = model.kind == "decoder" and bool(shape.layers) and not shape.states
        self.max_tokens = sizes.tokens
        self.max_rows = sizes.rows

    def new_cache(self, capacity: int) -> Cache:
        return self._compiled.new_cache(capacity, self._source_room, self._kv)

    def new_blocks(self, count: int) -> _core.Blocks:
        return self._compiled.new_blocks(count, self._kv)

    def new_block_cache(self, blocks: _core.Blocks, capacity: int) -> _core.Cache:
        return self._compiled.new_block_cache(blocks, capacity)

    def step(self, runs: Sequence[Run], out: NDArray[np.float32]) -> None:
        tokens, counts, wanted = _joined(runs)
        self._rows.read(tokens)
        places = np.arange(len(tokens), dtype=np.int32)
        self._compiled.program.step(self.pool, places, counts, places[wanted], out)

    def settle(self, seconds: float) -> bool:
        return self._packing.go_on(seconds)

    def hidden(self, out: NDArray[np.float32]) -> None:
        self._compiled.program.read(self._hidden, out)

    def read(self, tokens: Sequence[int], cache: Any) -> None:
        assert self._reader is not None, "only a model with an encoder reads"
        rows, compiled = self._reader
        rows.read(tokens)
        places = np.arange(len(tokens), dtype=np.int32)
        nothing = np.empty((0, compiled.vocab), np.float32)
        cache.truncate(0)
        compiled.program.step(self.pool, places, [(cache, len(tokens))], places[:0], nothing)
        cache.truncate(0)

    def _compile(
        self, forward: Callable[[Ops[Value]], Value], max_tokens: int, max_rows: int
    ) -> tuple[StepRows, Compiled]:
        from furet.ops.native import compile

        rows = StepRows(self._file, max_tokens)
        return rows, compile(
            forward, self._file, max_tokens=max_tokens, max_rows=max_rows, pack=self._pack, table=rows.table
        )


class StepRows:
    """The rows of the embedding that a step looks up, in the order of its tokens.

    A program made over these tables takes places in the step for token ids.
    """

    def __init__(self, file: ModelFile, max_tokens: int) -> None:
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


def _joined(runs: Sequence[Run]) -> tuple[list[int], list[tuple[Any, int]], list[int]]:
    """The tokens of all runs, how many go to which cache, and the places of those whose logits are wanted."""
    tokens: list[int] = []
    wanted: list[int] = []
    for run in runs:
        tokens += run.tokens
        wanted += range(len(tokens) - run.rows, len(tokens))
    return tokens, [(run.cache, len(run.tokens)) for run in runs], wanted


def _leave(matrices: Mapping[str, _core.Weight]) -> None:
    """Keep the matrices as the file has them."""


class ReferenceBackend:
    """The NumPy interpreter: slow, float64, the answer by definition."""

    paged = False

    def __init__(self, model: Family, source: Source, sizes: StepSizes, kv: CacheType) -> None:
        from furet.ops.reference import decoder as decoded

        self._model = model
        self._decode = decoded(source)
        self._kv = kv
        self.vocab = model.config.width if model.kind == "encoder" else model.config.vocab
        self.width = model.config.width
        self.max_tokens = self.max_rows = sizes.tokens
        self._hidden: list[NDArray[np.float64]] = []

    def new_cache(self, capacity: int) -> Cache:
        from furet.ops.reference import Cache as ReferenceCache

        return ReferenceCache(kv=self._kv)

    def new_blocks(self, count: int) -> Blocks:
        raise NotImplementedError("it holds each sequence as a whole")

    def new_block_cache(self, blocks: Blocks, capacity: int) -> BlockCache:
        raise NotImplementedError("it holds each sequence as a whole")

    def step(self, runs: Sequence[Run], out: NDArray[np.float32]) -> None:
        from furet.ops.reference import step

        tokens, counts, wanted = _joined(runs)
        out[:] = step(self._model.forward, self._decode, tokens, counts, wanted, self._hidden)

    def settle(self, seconds: float) -> bool:
        return False

    def hidden(self, out: NDArray[np.float32]) -> None:
        out[:] = self._hidden[0][: len(out)]

    def read(self, tokens: Sequence[int], cache: Any) -> None:
        from furet.ops.reference import step

        cache.truncate(0)
        step(self._model.encode, self._decode, tokens, [(cache, len(tokens))], [])
        cache.truncate(0)
