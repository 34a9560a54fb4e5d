"""The ops in NumPy, in float64: the answer that every other interpreter is measured against.

Nothing here is fast and nothing is rounded, except keys and values where the cache is to hold them in blocks:
weights are decoded to what they stand for, then all arithmetic and the cache are float64. It is the oracle of
the tests and the documentation of the native core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from furet.ops import Activation, Ops, Source, Tensor, bias, recurrent, stored
from furet.ops.activations import FUNCTIONS
from furet.ops.cached import CacheType, rounded
from furet.ops.rope import Rope, angles

Floats = NDArray[np.float64]
Decode = Callable[[Tensor], NDArray[np.float32]]


@dataclass
class Cache:
    """What one sequence remembers: `length` is S between steps.

    kv          what keys and values are rounded to; f16 stands for float64 here
    layers      keys and values of its tokens, per layer [S, K*D]
    memory      keys and values of an encoder's tokens, per layer
    states      of recurrent ops, by name
    pending     states of the step that is running; they count once it is done
    """

    length: int = 0
    kv: CacheType = "f16"
    layers: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)
    memory: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)
    states: dict[str, Floats] = field(default_factory=dict)
    pending: dict[str, Floats] = field(default_factory=dict)

    @property
    def recurrent(self) -> bool:
        """Whether there is a state of all tokens, which can only be forgotten as a whole."""
        return bool(self.states)

    def rounded(self, keys: Floats, values: Floats, head_dim: int) -> tuple[Floats, Floats]:
        """Keys and values as they are remembered. [T, K*D]"""
        return rounded(keys, self.kv, head_dim), rounded(values, self.kv, head_dim)

    def append(self, layer: int, keys: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Add the new rows of a layer; returns all of its rows. [T, K*D] -> [S, K*D]"""
        old_keys, old_values = self.layers.get(layer, (keys[:0], values[:0]))
        old = slice(self.length)  # a step that failed half-way may have left more
        self.layers[layer] = np.concatenate([old_keys[old], keys]), np.concatenate([old_values[old], values])
        return self.layers[layer]

    def truncate(self, length: int) -> None:
        """Forget the tokens from `length` on; a recurrent state can only be forgotten as a whole."""
        if length >= self.length:
            return
        if self.states and length:
            raise ValueError(f"a recurrent state of {self.length} tokens cannot be cut to {length}")
        self.length = length
        self.states = {}


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
    hidden: list[Floats] | None = None,
) -> Floats:
    """Run a forward over one flat list of tokens.

    tokens  [T]; they belong to the sequences of `runs` in order: (cache, how many tokens)
    rows    [R] which tokens' logits are wanted; all when None
    hidden  gets what went into the last linear, of which the logits are made. [R, C]
    returns [R, V]
    """
    ids = np.asarray(tokens, dtype=np.int64)
    if sum(count for _, count in runs) != len(ids):
        raise ValueError(f"{len(ids)} tokens, but runs of {[count for _, count in runs]}")
    wanted = np.arange(len(ids)) if rows is None else np.asarray(rows, dtype=np.int64)
    for sequence, _ in runs:
        sequence.pending = {}
    ops = Reference(decode, ids, runs, wanted)
    logits = forward(ops)
    if hidden is not None:
        hidden[:] = [ops.hidden]
    for sequence, count in runs:
        sequence.length += 0 if ops.encodes else count
        sequence.states |= sequence.pending
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
        self._stored = decode
        self.hidden: Floats = np.empty((0, 0))
        self.tokens = tokens
        self.runs = runs
        self.wanted = wanted
        places = [np.arange(sequence.length, sequence.length + count) for sequence, count in runs]
        self.positions = np.concatenate(places) if places else np.arange(0)  # [T]
        self.encodes = False  # an encoder reads a sequence as a whole and leaves its length as it is

    def embed(self, weight: Tensor) -> Floats:
        return self._looked_up(weight, self.tokens, "token id")

    def embed_positions(self, weight: Tensor, offset: int = 0) -> Floats:
        return self._looked_up(weight, self.positions + offset, "position")

    def rms_norm(self, x: Floats, weight: Tensor, eps: float) -> Floats:
        groups = x.reshape(len(x), x.shape[1] // weight.shape[0], weight.shape[0])
        size: Floats = np.sqrt(np.mean(groups * groups, axis=-1, keepdims=True) + eps)
        return (groups / size * self._stored(weight)).reshape(x.shape)

    def layer_norm(
        self, x: Floats, weight: Tensor, bias: Tensor | None, eps: float, groups: int = 1
    ) -> Floats:
        parts = x.reshape(len(x), groups, x.shape[1] // groups)
        centred = parts - parts.mean(axis=-1, keepdims=True)
        normed = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + eps)
        repeats = x.shape[1] // prod(weight.shape)
        y: Floats = normed.reshape(x.shape) * np.tile(self._stored(weight).reshape(-1), repeats)
        return y if bias is None else y + np.tile(self._stored(bias).reshape(-1), repeats)

    def l2_norm(self, x: Floats, heads: int, eps: float) -> Floats:
        parts = x.reshape(len(x), heads, x.shape[1] // heads)
        size: Floats = np.sqrt((parts * parts).sum(axis=-1, keepdims=True))
        return np.asarray(parts / np.maximum(size, eps)).reshape(x.shape)

    def linear(self, x: Floats, weight: Tensor, bias: Tensor | None = None) -> Floats:
        self.hidden = x  # the last one's counts
        y: Floats = x @ self._stored(weight).T.astype(np.float64)
        return y if bias is None else y + self._stored(bias)

    def affine(
        self, x: Floats, weight: Tensor | None = None, bias: Tensor | None = None, row: int = 0
    ) -> Floats:
        y = x if weight is None else x * self._stored(weight).reshape(-1, x.shape[1])[row]
        return y if bias is None else y + self._stored(bias).reshape(-1, x.shape[1])[row]

    def activate(self, x: Floats, function: Activation) -> Floats:
        return FUNCTIONS[function](x)

    def scale(self, x: Floats, factor: float) -> Floats:
        return x * factor

    def soft_cap(self, x: Floats, cap: float) -> Floats:
        capped: Floats = cap * np.tanh(x / cap)
        return capped

    def clamp(self, x: Floats, bound: float) -> Floats:
        return x.clip(-bound, bound)

    def columns(self, x: Floats, first: int, count: int) -> Floats:
        return x[:, first : first + count]

    def head_dot(self, a: Floats, b: Floats, heads: int) -> Floats:
        products = (a * b).reshape(len(a), heads, a.shape[1] // heads)
        return np.broadcast_to(products.sum(axis=-1, keepdims=True), products.shape).reshape(a.shape)

    def rows(self, x: Floats) -> Floats:
        return x[self.wanted]

    def rope(self, x: Floats, heads: int, rope: Rope, factors: Tensor | None = None) -> Floats:
        divisors = None if factors is None else self._stored(factors).astype(np.float64)
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
        *,
        soft_cap: float = 0.0,
        alibi: float = 0.0,
        distances: Tensor | None = None,
    ) -> Floats:
        outs = [q[:0]]
        for sequence, new in self._sequences():
            held = sequence.rounded(k[new], v[new], q.shape[1] // heads)
            keys, values = sequence.append(layer, *held)
            away = np.arange(len(keys)) - np.arange(len(keys) - len(q[new]), len(keys))[:, None]  # [T, S]
            seen = (away <= 0) & (away > -window) if window else away <= 0
            added = np.zeros((heads, 1, 1))
            if alibi:
                added = added + bias.slopes(heads, alibi)[:, None, None] * np.minimum(away, 0)
            if distances is not None:
                added = added + self._by_distance(distances, away, both_ways=False)
            outs.append(_attend(q[new], keys, values, heads, kv_heads, scale, seen, added, soft_cap))
        return np.concatenate(outs)

    def attend_all(
        self, q: Floats, k: Floats, v: Floats, heads: int, scale: float, distances: Tensor | None = None
    ) -> Floats:
        outs = [q[:0]]
        for sequence, new in self._read_as_a_whole():
            keys, values = sequence.rounded(k[new], v[new], q.shape[1] // heads)
            away = np.arange(len(q[new])) - np.arange(len(q[new]))[:, None]  # [T, T]
            added = np.zeros((heads, 1, 1))
            if distances is not None:
                added = self._by_distance(distances, away, both_ways=True)
            everything = np.ones(away.shape, dtype=bool)
            outs.append(_attend(q[new], keys, values, heads, heads, scale, everything, added))
        return np.concatenate(outs)

    def remember(self, layer: int, k: Floats, v: Floats, heads: int) -> Floats:
        for sequence, new in self._read_as_a_whole():
            sequence.memory[layer] = sequence.rounded(k[new], v[new], k.shape[1] // heads)
        return k

    def recall(self, layer: int, q: Floats, heads: int, scale: float) -> Floats:
        outs = [q[:0]]
        for sequence, new in self._sequences():
            keys, values = sequence.memory[layer]
            everything = np.ones((len(q[new]), len(keys)), dtype=bool)
            outs.append(_attend(q[new], keys, values, heads, heads, scale, everything, np.zeros((1, 1, 1))))
        return np.concatenate(outs)

    def route(self, scores: Floats, used: int, normalise: bool) -> Floats:
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :used]
        weights = np.take_along_axis(shares, best, axis=1)
        if normalise:
            weights = weights / weights.sum(axis=1, keepdims=True)
        return np.concatenate([best, weights], axis=1)  # [T, 2*used]

    def dispatch(self, x: Floats, route: Floats) -> Floats:
        return np.repeat(x, route.shape[1] // 2, axis=0)

    def expert_linear(self, x: Floats, weight: Tensor, route: Floats) -> Floats:
        experts = route[:, : route.shape[1] // 2].astype(np.int64).reshape(-1)
        table = self._stored(weight)
        y = np.empty((len(x), table.shape[1]))
        for expert in np.unique(experts):
            y[experts == expert] = x[experts == expert] @ table[expert].T.astype(np.float64)
        return y

    def combine(self, x: Floats, route: Floats) -> Floats:
        used = route.shape[1] // 2
        weighted = x.reshape(len(route), used, -1) * route[:, used:, None]
        return np.asarray(weighted.sum(axis=1))

    def shift(self, state: str, x: Floats) -> Floats:
        return self._recurrent(state, recurrent.shift, (x,))

    def convolve(self, state: str, x: Floats, weight: Tensor, bias: Tensor | None = None) -> Floats:
        return self.affine(self._recurrent(state, recurrent.convolve, (x,), (weight,)), bias=bias)

    def selective_scan(
        self, state: str, x: Floats, dt: Floats, a: Tensor, b: Floats, c: Floats, d: Tensor
    ) -> Floats:
        return self._recurrent(state, recurrent.selective_scan, (x, dt, b, c), (a, d))

    def wkv4(self, state: str, k: Floats, v: Floats, decay: Tensor, first: Tensor) -> Floats:
        return self._recurrent(state, recurrent.wkv4, (k, v), (decay, first))

    def wkv7(
        self, state: str, r: Floats, decay: Floats, k: Floats, v: Floats, a: Floats, b: Floats, heads: int
    ) -> Floats:
        in_heads = [part.reshape(len(r), heads, -1) for part in (r, decay, k, v, a, b)]
        return self._recurrent(state, recurrent.wkv7, in_heads).reshape(r.shape)

    def _looked_up(self, weight: Tensor, places: NDArray[np.int64], what: str) -> Floats:
        table = self._stored(weight)
        if len(places) and not 0 <= places.min() <= places.max() < len(table):
            raise ValueError(f"a {what} outside 0 to {len(table) - 1}")
        return table[places].astype(np.float64)

    def _sequences(self) -> Iterator[tuple[Cache, slice]]:
        """Each sequence of the step, and where its tokens are."""
        start = 0
        for sequence, count in self.runs:
            yield sequence, slice(start, start := start + count)

    def _read_as_a_whole(self) -> Iterator[tuple[Cache, slice]]:
        """The same for what an encoder does."""
        if any(sequence.length for sequence, _ in self.runs):
            raise ValueError("an encoder reads a sequence from its first token on")
        self.encodes = True
        return self._sequences()

    def _by_distance(self, table: Tensor, away: NDArray[np.int64], both_ways: bool) -> Floats:
        """The learned bias of every distance. [T, S] -> [H, T, S]"""
        values = self._stored(table).astype(np.float64)
        return values[bias.buckets(away, len(values), both_ways)].transpose(2, 0, 1)

    def _recurrent(
        self,
        name: str,
        rule: Callable[..., tuple[Floats, Floats]],
        values: Sequence[Floats],
        weights: Sequence[Tensor] = (),
    ) -> Floats:
        """Run a rule of `furet.ops.recurrent` over each sequence from where it stands."""
        outs = []
        for sequence, new in self._sequences():
            tables = [self._stored(weight).astype(np.float64) for weight in weights]
            out, state = rule(sequence.states.get(name), *(value[new] for value in values), *tables)
            sequence.pending[name] = state
            outs.append(out)
        return np.concatenate(outs)


def _attend(
    q: Floats,
    keys: Floats,
    values: Floats,
    heads: int,
    kv_heads: int,
    scale: float,
    seen: NDArray[np.bool_],
    added: Floats,
    soft_cap: float = 0.0,
) -> Floats:
    """Attention of T queries to S keys, of which each sees some. [T, H*D], [S, K*D], [S, K*D] -> [T, H*D]

    seen    [T, S]
    added   to the scores; anything that broadcasts to [H, T, S]
    """
    count, total, group, head_dim = len(q), len(keys), heads // kv_heads, q.shape[1] // heads
    queries = q.reshape(count, kv_heads, group, head_dim).transpose(1, 2, 0, 3)  # [K, H/K, T, D]
    k = keys.reshape(total, kv_heads, 1, head_dim).transpose(1, 2, 3, 0)  # [K, 1, D, S]
    v = values.reshape(total, kv_heads, 1, head_dim).transpose(1, 2, 0, 3)  # [K, 1, S, D]
    scores = (scale * (queries @ k)).reshape(heads, count, total)
    scores = scores + added
    if soft_cap:
        scores = soft_cap * np.tanh(scores / soft_cap)
    scores = np.where(seen, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = weights.reshape(kv_heads, group, count, total) @ v
    return np.asarray(mixed.transpose(2, 0, 1, 3).reshape(q.shape))
