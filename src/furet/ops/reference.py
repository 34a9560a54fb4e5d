"""The ops in NumPy, in float64: the answer that every other interpreter is measured against.

Nothing here is fast and nothing is rounded: weights are decoded to what they stand for, then all arithmetic
and the cache are float64. It is the oracle of the tests and the documentation of the native core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from furet.ops import Ops, Source, Tensor, stored
from furet.ops.rope import Rope, angles

Floats = NDArray[np.float64]
Decode = Callable[[Tensor], NDArray[np.float32]]


@dataclass
class Cache:
    """Keys and values of one sequence, per layer [S, K*D]; `length` is S between steps."""

    length: int = 0
    layers: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)

    def append(self, layer: int, keys: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Add the new rows of a layer; returns all of its rows. [T, K*D] -> [S, K*D]"""
        old_keys, old_values = self.layers.get(layer, (keys[:0], values[:0]))
        old = slice(self.length)  # a step that failed half-way may have left more
        self.layers[layer] = np.concatenate([old_keys[old], keys]), np.concatenate([old_values[old], values])
        return self.layers[layer]

    def truncate(self, length: int) -> None:
        """Forget the tokens from `length` on."""
        self.length = min(self.length, length)


def decoder(source: Source) -> Decode:
    """A function that gives a tensor of the source as float32 and remembers it."""
    decoded: dict[str, NDArray[np.float32]] = {}

    def decode(tensor: Tensor) -> NDArray[np.float32]:
        if tensor.name not in decoded:
            decoded[tensor.name] = stored.decode(tensor, source)
        return decoded[tensor.name]

    return decode


def step(
    forward: Callable[[Ops[Floats]], Floats],
    decode: Decode,
    tokens: ArrayLike,
    runs: Sequence[tuple[Cache, int]],
    rows: ArrayLike | None = None,
) -> Floats:
    """Run a forward over one flat list of tokens.

    tokens  [T]; they belong to the sequences of `runs` in order: (cache, how many tokens)
    rows    [R] which tokens' logits are wanted; all when None
    returns [R, V]
    """
    ids = np.asarray(tokens, dtype=np.int64)
    if sum(count for _, count in runs) != len(ids):
        raise ValueError(f"{len(ids)} tokens, but runs of {[count for _, count in runs]}")
    wanted = np.arange(len(ids)) if rows is None else np.asarray(rows, dtype=np.int64)
    logits = forward(Reference(decode, ids, runs, wanted))
    for sequence, count in runs:
        sequence.length += count
    return logits


class Reference:
    """`Ops` over float64 arrays, for one step."""

    def __init__(
        self,
        decode: Decode,
        tokens: NDArray[np.int64],
        runs: Sequence[tuple[Cache, int]],
        wanted: NDArray[np.int64],
    ) -> None:
        self.decode = decode
        self.tokens = tokens
        self.runs = runs
        self.wanted = wanted
        places = [np.arange(sequence.length, sequence.length + count) for sequence, count in runs]
        self.positions = np.concatenate(places) if places else np.arange(0)  # [T]

    def embed(self, weight: Tensor) -> Floats:
        table = self.decode(weight)
        if len(self.tokens) and not 0 <= self.tokens.min() <= self.tokens.max() < len(table):
            raise ValueError(f"a token id outside 0 to {len(table) - 1}")
        return table[self.tokens].astype(np.float64)

    def rms_norm(self, x: Floats, weight: Tensor, eps: float) -> Floats:
        groups = x.reshape(len(x), x.shape[1] // weight.shape[0], weight.shape[0])
        size: Floats = np.sqrt(np.mean(groups * groups, axis=-1, keepdims=True) + eps)
        return (groups / size * self.decode(weight)).reshape(x.shape)

    def linear(self, x: Floats, weight: Tensor, bias: Tensor | None = None) -> Floats:
        y: Floats = x @ self.decode(weight).T.astype(np.float64)
        return y if bias is None else y + self.decode(bias)

    def rope(self, x: Floats, heads: int, rope: Rope, factors: Tensor | None = None) -> Floats:
        divisors = None if factors is None else self.decode(factors).astype(np.float64)
        turn = angles(rope, self.positions, divisors)[:, None]  # [T, 1, dims/2]
        cos, sin = np.cos(turn) * rope.magnitude, np.sin(turn) * rope.magnitude
        y = x.reshape(len(x), heads, x.shape[1] // heads).copy()  # [T, H, D]
        if rope.style == "interleaved":
            first, second = slice(0, rope.dims, 2), slice(1, rope.dims, 2)
        else:
            first, second = slice(0, rope.dims // 2), slice(rope.dims // 2, rope.dims)
        a, b = y[..., first].copy(), y[..., second].copy()
        y[..., first] = a * cos - b * sin
        y[..., second] = a * sin + b * cos
        return y.reshape(x.shape)

    def attention(
        self,
        layer: int,
        q: Floats,
        k: Floats,
        v: Floats,
        heads: int,
        kv_heads: int,
        scale: float,
        window: int = 0,
    ) -> Floats:
        outs, start = [q[:0]], 0
        for sequence, count in self.runs:
            new = slice(start, start := start + count)
            keys, values = sequence.append(layer, k[new], v[new])
            outs.append(_attend(q[new], keys, values, heads, kv_heads, scale, window))
        return np.concatenate(outs)

    def silu(self, x: Floats) -> Floats:
        return x / (1.0 + np.exp(-x))

    def rows(self, x: Floats) -> Floats:
        return x[self.wanted]


def _attend(
    q: Floats, keys: Floats, values: Floats, heads: int, kv_heads: int, scale: float, window: int
) -> Floats:
    """Attention of the last T of S tokens of one sequence. [T, H*D], [S, K*D], [S, K*D] -> [T, H*D]"""
    count, total, group, head_dim = len(q), len(keys), heads // kv_heads, q.shape[1] // heads
    queries = q.reshape(count, kv_heads, group, head_dim).transpose(1, 2, 0, 3)  # [K, H/K, T, D]
    k = keys.reshape(total, kv_heads, 1, head_dim).transpose(1, 2, 3, 0)  # [K, 1, D, S]
    v = values.reshape(total, kv_heads, 1, head_dim).transpose(1, 2, 0, 3)  # [K, 1, S, D]
    scores = scale * (queries @ k)  # [K, H/K, T, S]
    age = np.arange(total - count, total)[:, None] - np.arange(total)  # [T, S]
    seen = (age >= 0) & (age < window) if window else age >= 0
    scores = np.where(seen, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: Floats = (weights @ v).transpose(2, 0, 1, 3).reshape(q.shape)
    return mixed
