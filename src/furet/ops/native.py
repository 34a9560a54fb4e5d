"""The ops on the native core: a forward, traced and fused, becomes one `_core.Program`.

Matrices stay where they are, and the program reads them through the source's view of the file, unless the
caller packs them. Norms and biases are handed over as float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.errors import UnsupportedModel
from furet.ops import Ops, Source, Tensor, stored, tensors
from furet.ops.arena import Layout, lay_out
from furet.ops.cache_shape import CacheShape, cache_shape, state_numbers
from furet.ops.cached import CacheType
from furet.ops.emit import Handles, emit
from furet.ops.instructions import Rotate
from furet.ops.key_bias import kept_out, key_biases
from furet.ops.passes import hidden_of, is_quantised, lower
from furet.ops.rope import Rope
from furet.ops.trace import trace
from furet.ops.values import Instruction, Kind, Rows, Value

if TYPE_CHECKING:
    from furet import _core


@dataclass(frozen=True)
class Compiled:
    """A program with what its caller must allocate for it.

    vocab           width of a row of logits
    hidden          the buffer of what logits are made of, and its width; None: no such rows
    cache_shape     what `_core.Cache` of one sequence must hold
    looked_up       names of the tensors of which a step reads single rows
    code            the instructions, for people and tests
    """

    program: _core.Program
    vocab: int
    cache_shape: CacheShape
    looked_up: frozenset[str]
    max_tokens: int
    max_rows: int
    arena_bytes: int
    hidden: tuple[int, int] | None
    code: Sequence[Instruction]

    def new_cache(self, capacity: int, memory_capacity: int = 0, kv: CacheType = "f16") -> _core.Cache:
        """An empty cache for one sequence of up to so many tokens, and so many of an encoder."""
        from furet import _core

        return _core.Cache(*self.cache_shape, capacity, memory_capacity, kv)

    def new_blocks(self, count: int, kv: CacheType = "f16") -> _core.Blocks:
        """Blocks for the layers of any number of sequences."""
        from furet import _core

        return _core.Blocks(self.cache_shape.layers, count, kv)

    def new_block_cache(self, blocks: _core.Blocks, capacity: int) -> _core.Cache:
        """An empty cache for one sequence of up to so many tokens in some of these blocks."""
        from furet import _core

        return _core.Cache(blocks, self.cache_shape.memory, self.cache_shape.states, capacity)


def compile(
    forward: Callable[[Ops[Value]], Value],
    source: Source,
    *,
    max_tokens: int,
    max_rows: int,
    pack: Callable[[Mapping[str, _core.Weight]], None] = lambda matrices: None,
    table: Callable[[Tensor], _core.Weight] | None = None,
) -> Compiled:
    """Make the native program of a forward over the tensors of `source`.

    max_tokens  the most tokens of one step
    max_rows    the most rows of logits of one step
    pack        called with the matrices that linears read, by name; may pack them
    table       gives the weight in which a step looks up its tokens' rows; default: the whole tensor
    raises      UnsupportedModel when a tensor is of a type that the native core cannot read
    """
    from furet import _core

    code = lower(trace(forward))
    layout = lay_out(code, _core.buffer_row_bytes, max_tokens, max_rows)
    program = _core.Program(max_tokens, max_rows, layout.bytes)
    looked_up, multiplied = tensors.looked_up(code), tensors.multiplied(code)
    floats = {name: stored.floats(tensor, source) for name, tensor in tensors.copied(code).items()}
    angles = _rope_tables(program, code, source)
    handles = Handles(
        buffers=_buffers(program, code, layout),
        rows={name: table(tensor) if table else _matrix(tensor, source) for name, tensor in looked_up.items()},
        positions={name: _matrix(tensor, source) for name, tensor in tensors.positions(code).items()},
        matrices={name: _matrix(tensor, source) for name, tensor in multiplied.items()},
        floats=floats,
        angles=angles,
        key_biases=_key_biases(program, code, floats, angles),
        states=state_numbers(code),
    )
    pack(handles.matrices)
    for step in code:
        emit(program, step, handles)
    (logits,) = code[-1].writes
    shape = cache_shape(code)
    kept = hidden_of(code)
    hidden = None if kept is None else (handles.buffers[kept], kept.width)
    return Compiled(
        program, logits.width, shape, frozenset(looked_up), max_tokens, max_rows, layout.bytes, hidden, code
    )


def _buffers(program: _core.Program, code: Sequence[Instruction], layout: Layout) -> dict[Value, int]:
    """A buffer for every value; values of one size in one place share theirs."""
    made: dict[tuple[int, Kind, Rows, int, int], int] = {}
    buffers: dict[Value, int] = {}
    for value in (value for step in code for value in step.writes):
        key = value.width, value.kind, value.rows, layout.offsets.get(value, 0), value.each
        if key not in made:
            made[key] = program.buffer(*key)
        buffers[value] = made[key]
    return buffers


def _rope_tables(
    program: _core.Program, code: Sequence[Instruction], source: Source
) -> dict[tuple[Rope, Tensor | None], int]:
    tables: dict[tuple[Rope, Tensor | None], int] = {}
    for step in code:
        if isinstance(step, Rotate) and (step.rope, step.factors) not in tables:
            factors = stored.floats(step.factors, source).astype(np.float64) if step.factors else None
            frequencies = step.rope.frequencies(factors)
            tables[step.rope, step.factors] = program.rope_table(frequencies, step.rope.magnitude)
    return tables


def _key_biases(
    program: _core.Program,
    code: Sequence[Instruction],
    floats: Mapping[str, NDArray[np.float32]],
    angles: Mapping[tuple[Rope, Tensor | None], int],
) -> dict[Value, int]:
    """What each of the keys is held without."""
    biases = key_biases(code)
    numbers = {}
    for keys, out in kept_out(biases, floats).items():
        rope, factors = biases[keys].rope, biases[keys].factors
        table = angles[rope, factors] if rope else -1
        numbers[keys] = program.key_bias(table, out.counts.tolist(), out.channels.reshape(-1), out.values.reshape(-1))
    return numbers


def require_readable(tensor: Tensor) -> None:
    """Raise UnsupportedModel for a tensor of a type that the native core cannot read."""
    from furet import _core

    if tensor.type not in _core.readable_types():
        known = ", ".join(TensorType(id).name for id in _core.readable_types())
        raise UnsupportedModel(
            f"tensor {tensor.name} is of type {tensor.type.name}, which the native core cannot read",
            hint=f"it reads {known}; convert the file to one of them",
        )


def _matrix(tensor: Tensor, source: Source) -> _core.Weight:
    from furet import _core

    require_readable(tensor)
    *experts, rows, columns = tensor.shape
    weight = _core.Weight(stored.blocks(tensor, source), tensor.type, rows, columns, *experts)
    assert weight.quantised == is_quantised(tensor), f"{tensor.name}: core and passes disagree on its input"
    return weight
