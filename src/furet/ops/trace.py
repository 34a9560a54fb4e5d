"""The ops over symbols: running a forward once writes down its instructions.

The shapes of the whole model are checked on the way; a disagreement is a mistake in a family file, since what
comes from a model file was checked against the family's table before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from furet.ops import Ops, Tensor
from furet.ops.instructions import (
    Add,
    Attention,
    Embed,
    Instruction,
    Linear,
    Multiply,
    RmsNorm,
    Rotate,
    Rows,
    Silu,
    TakeRows,
    Value,
)
from furet.ops.rope import Rope


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
        return self._record(Embed(weight, out), out)

    def rms_norm(self, x: Value, weight: Tensor, eps: float) -> Value:
        assert x.width % weight.shape[0] == 0, f"rms_norm: {weight.name} {weight.shape} for rows of {x.width}"
        out = self._value(x.width, x.rows)
        return self._record(RmsNorm(x, weight, eps, out), out)

    def linear(self, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
        rows, columns = weight.shape
        assert x.width == columns, f"linear: {weight.name} {weight.shape} for rows of {x.width}"
        assert bias is None or bias.shape == (rows,), f"linear: {weight.name} {weight.shape}, {bias}"
        out = self._value(rows, x.rows)
        return self._record(Linear(x, (weight,), (bias,), (out,)), out)

    def rope(self, x: Value, heads: int, rope: Rope, factors: Tensor | None = None) -> Value:
        assert x.width % heads == 0 and rope.dims <= x.width // heads, f"rope: {heads} heads in {x.width}"
        assert factors is None or factors.shape == (rope.dims // 2,), f"rope: {rope.dims} and {factors}"
        out = self._value(x.width, x.rows)
        return self._record(Rotate(x, heads, rope, factors, out), out)

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
    ) -> Value:
        head_dim = q.width // heads
        assert q.width == heads * head_dim and heads % kv_heads == 0, f"attention: {heads}, {kv_heads}"
        assert k.width == v.width == kv_heads * head_dim, f"attention: q {q.width}, k {k.width}, v {v.width}"
        out = self._value(q.width)
        return self._record(Attention(layer, q, k, v, heads, kv_heads, scale, window, out), out)

    def silu(self, x: Value) -> Value:
        out = self._value(x.width, x.rows)
        return self._record(Silu(x, out), out)

    def rows(self, x: Value) -> Value:
        assert x.rows == "tokens", "rows: taken once"
        out = self._value(x.width, "rows")
        return self._record(TakeRows(x, out), out)

    def add(self, a: Value, b: Value) -> Value:
        out = self._like_both(a, b)
        return self._record(Add(a, b, out), out)

    def multiply(self, a: Value, b: Value) -> Value:
        out = self._like_both(a, b)
        return self._record(Multiply(a, b, out), out)

    def _value(self, width: int, rows: Rows = "tokens") -> Value:
        return Value(width, rows, trace=self)

    def _like_both(self, a: Value, b: Value) -> Value:
        assert (a.width, a.rows) == (b.width, b.rows), f"+ or * of {a} and {b}"
        return self._value(a.width, a.rows)

    def _record(self, instruction: Instruction, out: Value) -> Value:
        self.code.append(instruction)
        return out
