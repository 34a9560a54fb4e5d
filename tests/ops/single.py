"""Programs of one op: random rows, looked up in a table of floats, and what the op makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tiny
from numpy.typing import NDArray

from furet import _core
from furet.dtypes import TensorType
from furet.ops import Ops, native, reference
from furet.ops.cached import CacheType

T, V = 23, 40
TOKENS = np.random.RandomState(5).randint(0, V, T).astype(np.int32)
LONG = np.random.RandomState(8).randint(0, V, 300).astype(np.int32)
Body = Callable[[Ops[Any], Any], Any]


class Tensors(tiny.TinyModel):
    """Tensors of float32 by name."""

    def __init__(self, **arrays: NDArray[np.float64]) -> None:
        super().__init__({})
        for name, values in arrays.items():
            data = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
            self.put(name, TensorType.F32, values.shape, data)


def random(*shape: int, seed: int = 0, size: float = 1.0) -> NDArray[np.float64]:
    return size * np.random.RandomState(seed + sum(shape)).standard_normal(shape)


def step(
    forward: Body, made: tiny.TinyModel, threads: int = 2, cuts: Sequence[int] = (T,), tokens: Any = TOKENS
) -> NDArray[np.float32]:
    """What the native program of a forward gives for all tokens, taken in steps of these sizes. -> [T, N]"""
    compiled = native.compile(forward, made, max_tokens=T, max_rows=T)
    cache, pool = compiled.new_cache(T, T), _core.Pool(threads)
    out = np.full((len(tokens), compiled.vocab), np.nan, np.float32)
    at = 0
    for count in cuts:
        part, rows = slice(at, at + count), np.arange(count, dtype=np.int32)
        compiled.program.step(pool, tokens[part], [(cache, count)], rows, out[part])
        at += count
    return out


def in_steps(
    forward: Body, made: Tensors, tokens: NDArray[np.int32], size: int, threads: int, kv: CacheType = "f16"
) -> Any:
    """Steps of `size` tokens; the cache outgrows a span of keys."""
    compiled = native.compile(forward, made, max_tokens=size, max_rows=size)
    cache, pool = compiled.new_cache(len(tokens), kv=kv), _core.Pool(threads)
    out = np.empty((len(tokens), compiled.vocab), np.float32)
    edges = [*range(0, len(tokens), size), len(tokens)]
    for start, end in pairwise(edges):
        rows = np.arange(end - start, dtype=np.int32)
        compiled.program.step(pool, tokens[start:end], [(cache, end - start)], rows, out[start:end])
    return out


def wanted(forward: Body, made: tiny.TinyModel, tokens: Any = TOKENS) -> NDArray[np.float64]:
    return reference.step(forward, reference.decoder(made), tokens, [(reference.Cache(), len(tokens))])
