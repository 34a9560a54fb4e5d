"""The ops over symbols: running a forward once writes down its instructions.

The shapes of the whole model are checked on the way; a disagreement is a mistake in a family file, since what
comes from a model file was checked against the family's table before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from furet.ops import Activation, Ops, Tensor
from furet.ops import instructions as make
from furet.ops.rope import Rope
from furet.ops.values import Instruction, Kind, Rows, Value


def trace(forward: Callable[[Ops[Value]], Value]) -> list[Instruction]:
    """The instructions of a forward, in order; the last one writes the logits."""
    recorder = Trace()
    logits = forward(recorder)
    assert recorder.code and recorder.code[-1].writes == (logits,), "a forward ends with its logits"
    assert logits.rows == "rows", "logits are taken for the rows asked for: use op.rows"
    return [*recorder.code[:-1], recorder.code[-1].renamed({logits: replace(logits, kind="out")})]


class Trace:
    """`Ops` over symbols; `code` grows by one instruction per call."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []

    def embed(self, weight: Tensor) -> Value:
        out = self._value(weight.shape[1])
        return self._record(make.Embed(weight, out), out)

    def embed_positions(self, weight: Tensor, offset: int = 0) -> Value:
        out = self._value(weight.shape[1])
        return self._record(make.EmbedPositions(weight, offset, out), out)

    def rms_norm(self, x: Value, weight: Tensor, eps: float) -> Value:
        assert x.width % weight.shape[0] == 0, f"rms_norm: {weight.name} {weight.shape} for rows of {x.width}"
        out = self._like(x)
        return self._record(make.RmsNorm(x, weight, eps, out), out)

    def layer_norm(
        self, x: Value, weight: Tensor, bias: Tensor | None, eps: float, groups: int = 1
    ) -> Value:
        assert prod(weight.shape) * groups in (x.width, x.width * groups), f"layer_norm: {weight} for {x}"
        assert bias is None or bias.shape == weight.shape, f"layer_norm: {weight}, {bias}"
        out = self._like(x)
        return self._record(make.LayerNorm(x, weight, bias, eps, groups, out), out)

    def l2_norm(self, x: Value, heads: int, eps: float) -> Value:
        assert x.width % heads == 0, f"l2_norm: {heads} heads in {x.width}"
        out = self._like(x)
        return self._record(make.L2Norm(x, heads, eps, out), out)

    def linear(self, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
        rows, columns = weight.shape
        assert x.width == columns, f"linear: {weight.name} {weight.shape} for rows of {x.width}"
        assert bias is None or bias.shape == (rows,), f"linear: {weight.name} {weight.shape}, {bias}"
        out = self._like(x, rows)
        return self._record(make.Linear(x, (weight,), (bias,), (out,)), out)

    def affine(self, x: Value, weight: Tensor | None = None, bias: Tensor | None = None, row: int = 0) -> Value:
        for vector in (weight, bias):
            assert vector is None or vector.shape[-1] == x.width, f"affine: {vector} for rows of {x.width}"
        out = self._like(x)
        return self._record(make.Affine(x, weight, bias, row, out), out)

    def activate(self, x: Value, function: Activation) -> Value:
        out = self._like(x)
        return self._record(make.Activate(x, function, out), out)

    def scale(self, x: Value, factor: float) -> Value:
        out = self._like(x)
        return self._record(make.Scale(x, factor, out), out)

    def soft_cap(self, x: Value, cap: float) -> Value:
        out = self._like(x)
        return self._record(make.SoftCap(x, cap, out), out)

    def clamp(self, x: Value, bound: float) -> Value:
        out = self._like(x)
        return self._record(make.Clamp(x, bound, out), out)

    def columns(self, x: Value, first: int, count: int) -> Value:
        assert 0 <= first < first + count <= x.width, f"columns: {first} + {count} of {x.width}"
        out = self._like(x, count)
        return self._record(make.Columns(x, first, out), out)

    def head_dot(self, a: Value, b: Value, heads: int) -> Value:
        out = self._like_both(a, b)
        return self._record(make.HeadDot(a, b, heads, out), out)

    def rows(self, x: Value) -> Value:
        assert x.rows == "tokens" and x.each == 1, "rows: taken once, one per token"
        out = self._value(x.width, "rows")
        return self._record(make.TakeRows(x, out), out)

    def rope(self, x: Value, heads: int, rope: Rope, factors: Tensor | None = None) -> Value:
        assert x.width % heads == 0 and rope.dims <= x.width // heads, f"rope: {heads} heads in {x.width}"
        assert factors is None or factors.shape == (rope.dims // 2,), f"rope: {rope.dims} and {factors}"
        out = self._like(x)
        return self._record(make.Rotate(x, heads, rope, factors, out), out)

    def attention(
        self,
        layer: int,
        q: Value,
        k: Value,
        v: Value,
        heads: int,
        kv_heads: int,
        scale: float,
        window: int = 0,
        *,
        soft_cap: float = 0.0,
        alibi: float = 0.0,
        distances: Tensor | None = None,
    ) -> Value:
        head_dim = q.width // heads
        assert q.width == heads * head_dim and heads % kv_heads == 0, f"attention: {heads}, {kv_heads}"
        assert k.width == v.width == kv_heads * head_dim, f"attention: q {q.width}, k {k.width}, v {v.width}"
        assert distances is None or distances.shape[1] == heads, f"attention: {distances} for {heads} heads"
        out = self._like(q)
        step = make.Attention(layer, q, k, v, heads, kv_heads, scale, window, soft_cap, alibi, distances, out)
        return self._record(step, out)

    def attend_all(
        self, q: Value, k: Value, v: Value, heads: int, scale: float, distances: Tensor | None = None
    ) -> Value:
        assert q.width == k.width == v.width and q.width % heads == 0, f"attend_all: {heads} heads in {q}"
        out = self._like(q)
        return self._record(make.AttendAll(q, k, v, heads, scale, distances, out), out)

    def remember(self, layer: int, k: Value, v: Value, heads: int) -> Value:
        out = self._like_both(k, v)
        return self._record(make.Remember(layer, k, v, heads, out), out)

    def recall(self, layer: int, q: Value, heads: int, scale: float) -> Value:
        out = self._like(q)
        return self._record(make.Recall(layer, q, heads, scale, out), out)

    def route(self, scores: Value, used: int, normalise: bool) -> Value:
        assert 0 < used <= scores.width, f"route: {used} of {scores.width} experts"
        out = self._value(used, scores.rows, "route")
        return self._record(make.Route(scores, used, normalise, out), out)

    def dispatch(self, x: Value, route: Value) -> Value:
        assert x.rows == route.rows and x.each == 1, f"dispatch: {x} by {route}"
        out = self._value(x.width, x.rows, each=route.width)
        return self._record(make.Dispatch(x, route, out), out)

    def expert_linear(self, x: Value, weight: Tensor, route: Value) -> Value:
        _, rows, columns = weight.shape
        assert x.width == columns and x.each == route.width, f"expert_linear: {weight} for {x}"
        out = self._like(x, rows)
        return self._record(make.ExpertLinear(x, (weight,), route, (out,)), out)

    def combine(self, x: Value, route: Value) -> Value:
        assert x.each == route.width, f"combine: {x} by {route}"
        out = self._value(x.width, x.rows)
        return self._record(make.Combine(x, route, out), out)

    def shift(self, state: str, x: Value) -> Value:
        out = self._like(x)
        return self._record(make.Shift(state, x, out), out)

    def convolve(self, state: str, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
        assert weight.shape[0] == x.width and weight.shape[1] > 1, f"convolve: {weight} for rows of {x.width}"
        out = self._like(x)
        return self._record(make.Convolve(state, x, weight, bias, out), out)

    def selective_scan(
        self, state: str, x: Value, dt: Value, a: Tensor, b: Value, c: Value, d: Tensor
    ) -> Value:
        assert x.width == dt.width == a.shape[0] and b.width == c.width == a.shape[1], f"selective_scan: {a}"
        out = self._like_both(x, dt)
        return self._record(make.SelectiveScan(state, x, dt, b, c, a, d, out), out)

    def wkv4(self, state: str, k: Value, v: Value, decay: Tensor, first: Tensor) -> Value:
        out = self._like_both(k, v)
        return self._record(make.Wkv4(state, k, v, decay, first, out), out)

    def wkv7(
        self, state: str, r: Value, decay: Value, k: Value, v: Value, a: Value, b: Value, heads: int
    ) -> Value:
        assert {value.width for value in (r, decay, k, v, a, b)} == {r.width}, "wkv7: values of one width"
        out = self._like(r)
        return self._record(make.Wkv7(state, r, decay, k, v, a, b, heads, out), out)

    def add(self, a: Value, b: Value) -> Value:
        out = self._like_both(a, b)
        return self._record(make.Add(a, b, out), out)

    def subtract(self, a: Value, b: Value) -> Value:
        out = self._like_both(a, b)
        return self._record(make.Subtract(a, b, out), out)

    def multiply(self, a: Value, b: Value) -> Value:
        out = self._like_both(a, b)
        return self._record(make.Multiply(a, b, out), out)

    def _value(self, width: int, rows: Rows = "tokens", kind: Kind = "f32", each: int = 1) -> Value:
        return Value(width, rows, kind, each, trace=self)

    def _like(self, x: Value, width: int | None = None) -> Value:
        return self._value(width or x.width, x.rows, each=x.each)

    def _like_both(self, a: Value, b: Value) -> Value:
        assert (a.width, a.rows, a.each) == (b.width, b.rows, b.each), f"+, - or * of {a} and {b}"
        return self._like(a)

    def _record(self, instruction: Instruction, out: Value) -> Value:
        self.code.append(instruction)
        return out
