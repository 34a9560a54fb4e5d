"""The instructions of the flat program, one frozen dataclass each, over the values of `furet.ops.values`.

They mirror the op list; those that only passes make are in `furet.ops.fused`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from furet.ops import Activation, Tensor
from furet.ops.rope import Rope
from furet.ops.values import Instruction, Value, in_place


@dataclass(frozen=True)
class Embed(Instruction):
    weight: Tensor
    out: Value


@dataclass(frozen=True)
class EmbedPositions(Instruction):
    weight: Tensor
    offset: int
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class RmsNorm(Instruction):
    x: Value
    weight: Tensor
    eps: float
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class LayerNorm(Instruction):
    x: Value
    weight: Tensor
    bias: Tensor | None
    eps: float
    groups: int
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class L2Norm(Instruction):
    x: Value
    heads: int
    eps: float
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class Linear(Instruction):
    """outs[j] = x @ weights[j].T + biases[j], plus the residual when there is one (and then one weight)."""

    x: Value
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor | None, ...]
    outs: tuple[Value, ...]
    residual: Value | None = None

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return (self.residual, self.outs[0]) if self.residual else None


@dataclass(frozen=True)
class Affine(Instruction):
    x: Value
    weight: Tensor | None
    bias: Tensor | None
    row: int
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class Activate(Instruction):
    x: Value
    function: Activation
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class Scale(Instruction):
    x: Value
    factor: float
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class SoftCap(Instruction):
    x: Value
    cap: float
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class Clamp(Instruction):
    x: Value
    bound: float
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.x, self.out)


@dataclass(frozen=True)
class Columns(Instruction):
    x: Value
    start: int
    out: Value


@dataclass(frozen=True)
class HeadDot(Instruction):
    a: Value
    b: Value
    heads: int
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.a, self.out)


@dataclass(frozen=True)
class Add(Instruction):
    a: Value
    b: Value
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.a, self.out)


@dataclass(frozen=True)
class Subtract(Instruction):
    a: Value
    b: Value
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.a, self.out)


@dataclass(frozen=True)
class Multiply(Instruction):
    a: Value
    b: Value
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.a, self.out)


@dataclass(frozen=True)
class TakeRows(Instruction):
    """The op `rows`: from one row per token to one row per wanted row of logits."""

    x: Value
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class Rotate(Instruction):
    """The op `rope`. The native core rotates in place, so x and out always share theirs."""

    x: Value
    heads: int
    rope: Rope
    factors: Tensor | None
    out: Value
    row_by_row: ClassVar[bool] = False

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return self.x, self.out


@dataclass(frozen=True)
class Attention(Instruction):
    layer: int
    q: Value
    k: Value
    v: Value
    heads: int
    kv_heads: int
    scale: float
    window: int
    soft_cap: float
    alibi: float
    distances: Tensor | None
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class AttendAll(Instruction):
    q: Value
    k: Value
    v: Value
    heads: int
    scale: float
    distances: Tensor | None
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class Remember(Instruction):
    """Its `out` stands for k, unchanged: so that a program which only remembers has something to end with."""

    layer: int
    k: Value
    v: Value
    heads: int
    out: Value
    row_by_row: ClassVar[bool] = False

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return self.k, self.out


@dataclass(frozen=True)
class Recall(Instruction):
    layer: int
    q: Value
    heads: int
    scale: float
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class Route(Instruction):
    scores: Value
    used: int
    normalise: bool
    out: Value


@dataclass(frozen=True)
class Dispatch(Instruction):
    x: Value
    route: Value
    out: Value


@dataclass(frozen=True)
class ExpertLinear(Instruction):
    """outs[j] = x @ weights[j][expert].T; x has a row for each expert of a token, or one that all of them read."""

    x: Value
    weights: tuple[Tensor, ...]
    route: Value
    outs: tuple[Value, ...]


@dataclass(frozen=True)
class Combine(Instruction):
    x: Value
    route: Value
    out: Value


@dataclass(frozen=True)
class Recurrent(Instruction):
    """Base of the ops that keep a state from token to token."""

    state: str
    row_by_row: ClassVar[bool] = False

    @property
    def state_floats(self) -> int:
        """Values that a sequence keeps for it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Shift(Recurrent):
    x: Value
    out: Value

    @property
    def state_floats(self) -> int:
        return self.x.width


@dataclass(frozen=True)
class Convolve(Recurrent):
    x: Value
    weight: Tensor
    bias: Tensor | None
    out: Value

    @property
    def state_floats(self) -> int:
        return self.x.width * (self.weight.shape[1] - 1)


@dataclass(frozen=True)
class SelectiveScan(Recurrent):
    """rates are `a`, skip is `d` of the op."""

    x: Value
    dt: Value
    b: Value
    c: Value
    rates: Tensor
    skip: Tensor
    out: Value

    @property
    def state_floats(self) -> int:
        return self.x.width * self.b.width


@dataclass(frozen=True)
class Wkv4(Recurrent):
    k: Value
    v: Value
    decay: Tensor
    first: Tensor
    out: Value

    @property
    def state_floats(self) -> int:
        return 3 * self.k.width


@dataclass(frozen=True)
class Wkv7(Recurrent):
    r: Value
    w: Value
    k: Value
    v: Value
    a: Value
    b: Value
    heads: int
    out: Value

    @property
    def state_floats(self) -> int:
        return self.r.width * (self.r.width // self.heads)
