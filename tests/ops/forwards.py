"""Forwards that no family has yet, each to trip a pass or the arena that assumes too much."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import tiny

from furet.dtypes import TensorType
from furet.ops import Ops, X
from furet.ops.rope import Rope

C, H, K, D, F, V = 64, 4, 2, 16, 96, 97
ROPE = Rope(10_000.0, D, "halves")
SHAPES = {
    "embed": (V, C), "q": (C, C), "k": (K * D, C), "v": (K * D, C), "o": (C, C), "gate": (F, C), "up": (F, C),
    "down": (C, F), "square": (C, C), "head": (V, C), "norm": (C,), "head_norm": (D,), "bias": (C,),
}  # fmt: skip


def source(types: str = "F32") -> tiny.TinyModel:
    """The tensors that the forwards below use."""
    made = tiny.TinyModel({})
    for name, shape in SHAPES.items():
        kind = TensorType[types] if len(shape) == 2 else TensorType.F32
        made.put(name, kind, shape, tiny.random_blocks(name, kind, shape))
    return made


def weights(types: str = "F32") -> SimpleNamespace:
    """The same tensors by attribute."""
    return SimpleNamespace(**source(types).tensors)


def silu(op: Ops[X], x: X) -> X:
    """The activation of most forwards here."""
    return op.activate(x, "silu")


class Forwards:
    """One method per forward; `w` are its weights."""

    def __init__(self, w: SimpleNamespace) -> None:
        self.w = w

    def parallel_block(self, op: Ops[X]) -> X:
        """Attention and feed-forward read one norm, and both are added at the end."""
        x = op.embed(self.w.embed)
        h = op.rms_norm(x, self.w.norm, 1e-5)
        x = x + self._attention(op, h, 0) + op.linear(silu(op, op.linear(h, self.w.up)), self.w.down)
        return op.linear(op.rows(x), self.w.head)

    def norm_after(self, op: Ops[X]) -> X:
        """The branch is normalised before it is added, so no linear can take the residual."""
        x = op.embed(self.w.embed)
        x = x + op.rms_norm(self._attention(op, x, 0), self.w.norm, 1e-5)
        return op.linear(op.rms_norm(op.rows(x), self.w.norm, 1e-5), self.w.head)

    def head_norms(self, op: Ops[X]) -> X:
        """Queries and keys are normalised head by head, before the rotation."""
        x = op.embed(self.w.embed)
        q = op.rms_norm(op.linear(x, self.w.q, self.w.bias), self.w.head_norm, 1e-5)
        k = op.rms_norm(op.linear(x, self.w.k), self.w.head_norm, 1e-5)
        q, k = op.rope(q, H, ROPE), op.rope(k, K, ROPE)
        a = op.attention(0, q, k, op.linear(x, self.w.v), H, K, 0.25, window=3)
        return op.linear(op.rows(x + op.linear(a, self.w.o)), self.w.head)

    def no_residual(self, op: Ops[X]) -> X:
        """A value is added to itself, multiplied by itself, and a linear reads its own residual."""
        x = op.embed(self.w.embed)
        x = x + op.linear(x, self.w.square)
        x = x + x
        y = silu(op, x)
        return op.linear(op.rows(self._attention(op, x * x + y * y, 0)), self.w.head)

    def two_readers(self, op: Ops[X]) -> X:
        """A silu, a linear and a norm are each read twice, so none may vanish into its first reader."""
        x = op.embed(self.w.embed)
        h = op.rms_norm(x, self.w.norm, 1e-5)
        y = op.linear(h, self.w.square)
        s = silu(op, y)
        x = (x + y) * s + s * op.linear(h + y, self.w.square)
        return op.linear(op.rows(x + self._attention(op, x, 0)), self.w.head)

    def rows_before_norm(self, op: Ops[X]) -> X:
        """Two layers of attention, the wanted rows taken right after the second."""
        x = op.embed(self.w.embed)
        for layer in range(2):
            x = x + self._attention(op, op.rms_norm(x, self.w.norm, 1e-5), layer)
        x = op.rows(x)
        x = x + op.linear(silu(op, op.linear(x, self.w.gate)) * op.linear(x, self.w.up), self.w.down)
        return op.linear(op.rms_norm(x, self.w.norm, 1e-5), self.w.head)

    def _attention(self, op: Ops[X], h: X, layer: int) -> X:
        q = op.rope(op.linear(h, self.w.q), H, ROPE)
        k = op.rope(op.linear(h, self.w.k), K, ROPE)
        return op.linear(op.attention(layer, q, k, op.linear(h, self.w.v), H, K, 0.25), self.w.o)


NAMES = sorted(name for name in vars(Forwards) if not name.startswith("_"))
TOKENS = np.random.RandomState(3).randint(0, V, 12).astype(np.int32)
