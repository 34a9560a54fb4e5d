"""A stand-in for the native core: the contract of `_core.pyi` in NumPy, strict where the contract is.

It runs programs in an arena of real bytes at the offsets it is given, so a value that was placed over a
living one shows as a wrong result. Nothing is rounded below float32: q8 buffers hold floats here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from furet import quant
from furet.dtypes import TensorType

Floats = NDArray[np.float32]
READABLE = [
    kind for kind in TensorType if kind.name in ("F32", "F16", "BF16", "Q4_0", "Q8_0", "Q4_K", "Q6_K")
]


def readable_types() -> list[int]:
    return [int(kind) for kind in READABLE]


def buffer_row_bytes(kind: str, width: int) -> int:
    return {"f32": 4 * width, "q8": 4 * width + 64, "out": 0}[kind]  # q8 longer, so that its places differ


def scratch_bytes(threads: int) -> int:
    return 4096 * threads


class Weight:
    def __init__(self, data: NDArray[np.uint8], type: int, rows: int, columns: int) -> None:
        if data.nbytes != rows * TensorType(type).row_bytes(columns):
            raise ValueError("wrong number of bytes")
        self.rows, self.columns = rows, columns
        self.quantised = TensorType(type).block > 1
        self.values = quant.decode(TensorType(type), data, (rows, columns))


Shapes = Sequence[tuple[int, int]]


class Cache:
    def __init__(
        self, layers: Shapes, memory: Shapes, states: Sequence[int], capacity: int, memory_capacity: int
    ) -> None:
        self.capacity, self.length = capacity, 0
        self.keys = [np.zeros((capacity, heads, dim), np.float32) for heads, dim in layers]
        self.values = [np.zeros_like(keys) for keys in self.keys]

    def truncate(self, length: int) -> None:
        self.length = min(self.length, length)

    @staticmethod
    def bytes(
        layers: Shapes, memory: Shapes, states: Sequence[int], capacity: int, memory_capacity: int = 0
    ) -> int:
        return 4 * capacity * sum(heads * dim for heads, dim in layers)


class Program:
    def __init__(self, max_tokens: int, max_rows: int, arena_bytes: int) -> None:
        self.limits = {"tokens": max_tokens, "rows": max_rows}
        self.arena = np.full(arena_bytes, 0xAA, np.uint8)
        self.buffers: list[tuple[int, str, str, int]] = []
        self.tables: list[tuple[NDArray[np.float64], float]] = []
        self.code: list[tuple[str, dict[str, Any]]] = []

    def buffer(self, width: int, kind: str, rows: str, offset: int, each: int = 1) -> int:
        if offset % 64 or (kind == "out" and rows != "rows"):
            raise ValueError("misplaced buffer")
        if offset + self.limits[rows] * buffer_row_bytes(kind, width) > len(self.arena):
            raise ValueError("buffer beyond the arena")
        self.buffers.append((width, kind, rows, offset))
        return len(self.buffers) - 1

    def rope_table(self, inverse_frequencies: NDArray[np.float64], magnitude: float) -> int:
        if inverse_frequencies.dtype != np.float64:
            raise ValueError("frequencies are float64")
        self.tables.append((inverse_frequencies, magnitude))
        return len(self.tables) - 1

    def embed(self, weight: Weight, out: int) -> None:
        self._want(out, "f32", weight.columns)
        self._append("embed", weight=weight, out=out)

    def take_rows(self, x: int, out: int) -> None:
        if (self.buffers[x][2], self.buffers[out][2]) != ("tokens", "rows"):
            raise ValueError("take_rows goes from tokens to rows")
        self._want(out, "f32", self.buffers[x][0])
        self._append("take_rows", x=x, out=out)

    def rms_norm(self, x: int, weight: Floats, eps: float, out: int) -> None:
        self._like(x, out, "f32", "q8")
        if weight.dtype != np.float32 or self.buffers[x][0] % len(weight):
            raise ValueError("rms_norm: weight")
        self._apart(out, x, may_equal=self.buffers[out][1] == "f32")
        self._append("rms_norm", x=x, weight=weight, eps=eps, out=out)

    def quantise(self, x: int, out: int) -> None:
        self._like(x, out, "q8")
        self._apart(out, x)
        self._append("quantise", x=x, out=out)

    def linear(
        self,
        x: int,
        weights: Sequence[Weight],
        biases: Sequence[Floats | None],
        outs: Sequence[int],
        residual: int = -1,
    ) -> None:
        if residual >= 0 and len(weights) > 1:
            raise ValueError("a residual wants one weight")
        for weight, bias, out in zip(weights, biases, outs, strict=True):
            if self.buffers[x][:2] != (weight.columns, "q8" if weight.quantised else "f32"):
                raise ValueError(f"linear: input is {self.buffers[x]}")
            if bias is not None and (bias.dtype != np.float32 or len(bias) != weight.rows):
                raise ValueError("linear: bias")
            self._want(out, "f32", weight.rows, "out")
            self._apart(out, x)
            if residual >= 0:
                self._apart(out, residual, may_equal=True)
        self._append("linear", x=x, weights=weights, biases=biases, outs=outs, residual=residual)

    def rope(self, x: int, head_dim: int, table: int, style: str) -> None:
        self._want(x, "f32", self.buffers[x][0])
        if self.buffers[x][0] % head_dim or 2 * len(self.tables[table][0]) > head_dim:
            raise ValueError("rope: head_dim")
        self._append("rope", x=x, head_dim=head_dim, table=table, style=style)

    def attention(
        self, q: int, k: int, v: int, layer: int, head_dim: int, scale: float, window: int, out: int
    ) -> None:
        self._like(q, out, "f32", "q8")
        if self.buffers[k][0] % head_dim or self.buffers[k][0] != self.buffers[v][0]:
            raise ValueError("attention: widths")
        for x in (q, k, v):
            self._apart(out, x)
        named = {
            "q": q,
            "k": k,
            "v": v,
            "layer": layer,
            "head_dim": head_dim,
            "scale": scale,
            "window": window,
        }
        self._append("attention", out=out, **named)

    def swiglu(self, gate: int, up: int, out: int) -> None:
        self._like(gate, out, "f32", "q8")
        self._apart(out, gate)
        self._apart(out, up)
        self._append("swiglu", gate=gate, up=up, out=out)

    def silu(self, x: int, out: int) -> None:
        self._like(x, out, "f32")
        self._append("silu", x=x, out=out)

    def add(self, a: int, b: int, out: int) -> None:
        self._like(a, out, "f32")
        self._append("add", a=a, b=b, out=out)

    def multiply(self, a: int, b: int, out: int) -> None:
        self._like(a, out, "f32")
        self._append("multiply", a=a, b=b, out=out)

    def step(
        self,
        pool: object,
        tokens: NDArray[np.int32],
        runs: Sequence[tuple[Cache, int]],
        rows: NDArray[np.int32],
        out: Floats,
    ) -> None:
        if len(tokens) > self.limits["tokens"] or len(rows) > self.limits["rows"]:
            raise ValueError("step is too long")
        if any(cache.length + count > cache.capacity for cache, count in runs):
            raise ValueError("cache is full")
        _Step(self, tokens, runs, rows, out).run()
        for cache, count in runs:
            cache.length += count

    def _append(self, name: str, **operands: Any) -> None:
        self.code.append((name, operands))

    def _want(self, buffer: int, kind: str, width: int, *others: str) -> None:
        if self.buffers[buffer][0] != width or self.buffers[buffer][1] not in (kind, *others):
            raise ValueError(f"{self.buffers[buffer]}, wanted {kind} of {width}")

    def _like(self, x: int, out: int, *kinds: str) -> None:
        """`out` has the rows and the width of the f32 buffer x, and one of the kinds."""
        self._want(x, "f32", self.buffers[out][0])
        if self.buffers[x][2] != self.buffers[out][2] or self.buffers[out][1] not in kinds:
            raise ValueError(f"{self.buffers[x]} to {self.buffers[out]}")

    def _apart(self, out: int, x: int, may_equal: bool = False) -> None:
        if out == x and may_equal:
            return
        (start, end), (other, other_end) = self._extent(out), self._extent(x)
        if start < other_end and other < end:
            raise ValueError(f"{self.buffers[out]} overlaps {self.buffers[x]}")

    def _extent(self, buffer: int) -> tuple[int, int]:
        width, kind, rows, offset = self.buffers[buffer]
        return offset, offset + self.limits[rows] * buffer_row_bytes(kind, width)


class _Step:
    """One run of a program; a method per instruction."""

    def __init__(
        self,
        program: Program,
        tokens: NDArray[np.int32],
        runs: Sequence[tuple[Cache, int]],
        rows: NDArray[np.int32],
        out: Floats,
    ) -> None:
        self.program, self.tokens, self.runs, self.wanted, self.logits = program, tokens, runs, rows, out
        self.positions = np.concatenate([np.arange(cache.length, cache.length + n) for cache, n in runs])

    def run(self) -> None:
        for name, operands in self.program.code:
            getattr(self, name)(**operands)

    def at(self, buffer: int) -> Floats:
        """The rows of a buffer, [T or R, width], in the arena itself."""
        width, kind, rows, offset = self.program.buffers[buffer]
        if kind == "out":
            return self.logits
        count, stride = len(self.tokens if rows == "tokens" else self.wanted), buffer_row_bytes(kind, width)
        block = self.program.arena[offset : offset + count * stride].reshape(count, stride)
        return block[:, : 4 * width].view(np.float32)

    def embed(self, weight: Weight, out: int) -> None:
        self.at(out)[:] = weight.values[self.tokens]

    def take_rows(self, x: int, out: int) -> None:
        self.at(out)[:] = self.at(x)[self.wanted]

    def rms_norm(self, x: int, weight: Floats, eps: float, out: int) -> None:
        count, width = self.at(x).shape
        groups = self.at(x).reshape(count, width // len(weight), len(weight))
        size = np.sqrt(np.mean(groups * groups, axis=-1, keepdims=True) + eps)
        self.at(out)[:] = (groups / size * weight).reshape(self.at(x).shape)

    def quantise(self, x: int, out: int) -> None:
        self.at(out)[:] = self.at(x)

    def linear(
        self,
        x: int,
        weights: Sequence[Weight],
        biases: Sequence[Floats | None],
        outs: Sequence[int],
        residual: int,
    ) -> None:
        for weight, bias, out in zip(weights, biases, outs, strict=True):
            y = self.at(x) @ weight.values.T
            if bias is not None:
                y += bias
            self.at(out)[:] = y if residual < 0 else y + self.at(residual)

    def rope(self, x: int, head_dim: int, table: int, style: str) -> None:
        frequencies, magnitude = self.program.tables[table]
        turn = magnitude * np.exp(1j * self.positions[:, None, None] * frequencies)
        heads = self.at(x).reshape(len(self.tokens), -1, head_dim)
        pairs = len(frequencies)
        first = slice(0, 2 * pairs, 2) if style == "interleaved" else slice(0, pairs)
        second = slice(1, 2 * pairs, 2) if style == "interleaved" else slice(pairs, 2 * pairs)
        turned = (heads[..., first] + 1j * heads[..., second]) * turn
        result = heads.copy()
        result[..., first], result[..., second] = turned.real, turned.imag
        self.at(x)[:] = result.reshape(self.at(x).shape)

    def attention(
        self, q: int, k: int, v: int, layer: int, head_dim: int, scale: float, window: int, out: int
    ) -> None:
        token = 0
        for cache, count in self.runs:
            for position in range(cache.length, cache.length + count):
                cache.keys[layer][position] = self.at(k)[token].reshape(-1, head_dim)
                cache.values[layer][position] = self.at(v)[token].reshape(-1, head_dim)
                seen = slice(max(0, position + 1 - window) if window else 0, position + 1)
                queries = self.at(q)[token].reshape(-1, head_dim)
                group = len(queries) // cache.keys[layer].shape[1]
                for head, query in enumerate(queries):
                    scores = scale * cache.keys[layer][seen, head // group] @ query
                    weights = np.exp(scores - scores.max())
                    mixed = weights @ cache.values[layer][seen, head // group] / weights.sum()
                    self.at(out)[token, head * head_dim : (head + 1) * head_dim] = mixed
                token += 1

    def swiglu(self, gate: int, up: int, out: int) -> None:
        self.at(out)[:] = self.at(gate) / (1 + np.exp(-self.at(gate))) * self.at(up)

    def silu(self, x: int, out: int) -> None:
        self.at(out)[:] = self.at(x) / (1 + np.exp(-self.at(x)))

    def add(self, a: int, b: int, out: int) -> None:
        self.at(out)[:] = self.at(a) + self.at(b)

    def multiply(self, a: int, b: int, out: int) -> None:
        self.at(out)[:] = self.at(a) * self.at(b)
