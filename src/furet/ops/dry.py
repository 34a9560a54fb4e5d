"""The dry run: the exact bytes that a model will take, from its header alone.

The figures come from the same trace, passes and arena that the native program is made of, so there is nothing
to keep in step with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from furet.ops import Ops, Tensor, tensors
from furet.ops.arena import lay_out
from furet.ops.cache_shape import attending, cache_shape
from furet.ops.cached import CacheType
from furet.ops.instructions import Embed, EmbedPositions
from furet.ops.passes import lower
from furet.ops.trace import trace
from furet.ops.values import Instruction, Value


@dataclass(frozen=True)
class Needs:
    """Bytes, each figure counted once for the whole model.

    weights     the tensors that the program reads, as stored
    looked_up   those among them of which a step reads single rows only
    copies      norms and biases, once more, as the float32 that the core wants
    cache       keys and values of all sequences, when full, with what threads note down that share their keys
    states      what else is kept of all sequences, however long they are
    arena       activations of the longest step
    logits      the array that a step writes
    scratch     working memory of the threads
    """

    weights: int
    looked_up: int
    copies: int
    cache: int
    states: int
    arena: int
    logits: int
    scratch: int

    @property
    def total(self) -> int:
        return self.weights + sum((self.copies, self.cache, self.states, self.arena, self.logits, self.scratch))


def needs(
    forward: Callable[[Ops[Value]], Value],
    *,
    context: int,
    memory: int = 0,
    sequences: int = 1,
    max_tokens: int,
    max_rows: int = 1,
    threads: int = 1,
    kv: CacheType = "f16",
) -> Needs:
    """What a forward needs for `sequences` caches of `context` tokens and steps of `max_tokens` tokens.

    memory      tokens of an encoder that each sequence has room for
    kv          the type of keys and values
    """
    from furet import _core

    code = lower(trace(forward))
    shape = cache_shape(code)
    # Threads that share the keys of a query note parts down for every 256 tokens. They are counted in proportion
    # to the context, like all of the cache, and those of a last 256 that is not full with the scratch.
    in_parts = [_core.part_bytes(*heads, sequences, max_tokens) for heads in attending(code)] if threads > 1 else []
    parts = max(in_parts, default=0)
    return Needs(
        weights=sum(map(stored_bytes, tensors.read(code).values())),
        looked_up=sum(map(stored_bytes, _only_looked_up(code))),
        copies=4 * sum(prod(tensor.shape) for tensor in tensors.copied(code).values()),
        cache=sequences * _core.Cache.bytes(shape.layers, (), (), context, 0, kv) + -(-context // 64) * parts // 4,
        states=sequences * _core.Cache.bytes((), shape.memory, shape.states, 0, memory, kv),
        arena=lay_out(code, _core.buffer_row_bytes, max_tokens, max_rows).bytes,
        logits=4 * max_rows * _logits(code).width,
        scratch=_core.scratch_bytes(threads) + parts,
    )


def most_positions(forward: Callable[[Ops[Value]], Value]) -> int | None:
    """Tokens of the longest sequence for which learned positions reach; None without such."""
    uses = [step for step in trace(forward) if isinstance(step, EmbedPositions)]
    return min((step.weight.shape[0] - step.offset for step in uses), default=None)


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor in its file."""
    return prod(tensor.shape[:-1]) * tensor.type.row_bytes(tensor.shape[-1])


def _only_looked_up(code: Sequence[Instruction]) -> list[Tensor]:
    """The tensors that only `embed` reads: an embedding that is the head as well is not among them."""
    elsewhere = tensors.read([step for step in code if not isinstance(step, Embed)])
    return [tensor for name, tensor in tensors.looked_up(code).items() if name not in elsewhere]


def _logits(code: Sequence[Instruction]) -> Value:
    (logits,) = code[-1].writes
    return logits
