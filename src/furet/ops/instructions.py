"""The flat program: one frozen dataclass per instruction, over values that are each written once.

An instruction's fields say all: those in `WRITTEN` hold the values it writes, those in `STORED` tensors of
the model file, and other values are read. The first group of instructions mirrors the op list; the second
exists only in the native program, made by `furet.ops.passes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from furet.ops import Tensor
from furet.ops.rope import Rope

if TYPE_CHECKING:
    from furet.ops.trace import Trace

Kind = Literal["f32", "q8", "out"]
Rows = Literal["tokens", "rows"]

WRITTEN = frozenset({"out", "outs"})
STORED = frozenset({"weight", "weights", "biases", "factors"})


@dataclass(frozen=True, eq=False)
class Value:
    """A symbol for [T, width] ("tokens") or [R, width] ("rows"); equal only to itself.

    kind    f32, q8 (quantised activations), or out (the caller's array of logits)
    """

    width: int
    rows: Rows = "tokens"
    kind: Kind = "f32"
    trace: Trace | None = field(default=None, repr=False)

    def __add__(self, other: Value) -> Value:
        assert self.trace is not None, "a value outside of a trace has no arithmetic"
        return self.trace.add(self, other)

    def __mul__(self, other: Value) -> Value:
        assert self.trace is not None, "a value outside of a trace has no arithmetic"
        return self.trace.multiply(self, other)


@dataclass(frozen=True)
class Instruction:
    """Base of all instructions."""

    __match_args__: ClassVar[tuple[str, ...]]  # set by dataclass: the names of the fields

    # Whether a row of what is written depends on the same row of what is read, and on no other.
    row_by_row: ClassVar[bool] = True

    @cached_property
    def reads(self) -> tuple[Value, ...]:
        """The values read, in the order of the fields."""
        return tuple(item for name, item in self.items() if isinstance(item, Value) and name not in WRITTEN)

    @cached_property
    def writes(self) -> tuple[Value, ...]:
        """The values written, in the order of the fields."""
        return tuple(item for name, item in self.items() if name in WRITTEN)

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The stored tensors read, in the order of the fields."""
        return tuple(item for name, item in self.items() if name in STORED and item is not None)

    @property
    def shared(self) -> tuple[Value, Value] | None:
        """(read, written): values that may lie in one place, when the first is not needed afterwards."""
        return None

    def renamed(self, names: Mapping[Value, Value]) -> Instruction:
        """The same instruction over other values."""
        changed: dict[str, Any] = {}
        for name in self.__match_args__:
            item = getattr(self, name)
            if isinstance(item, Value):
                changed[name] = names.get(item, item)
            elif name == "outs":
                changed[name] = tuple(names.get(value, value) for value in item)
        return replace(self, **changed)

    def items(self) -> Iterator[tuple[str, Any]]:
        """(field, item) of all fields in order; a field that holds several items comes several times."""
        for name in self.__match_args__:
            item = getattr(self, name)
            if isinstance(item, tuple):
                for part in item:
                    yield name, part
            else:
                yield name, item


@dataclass(frozen=True)
class Embed(Instruction):
    weight: Tensor
    out: Value


@dataclass(frozen=True)
class RmsNorm(Instruction):
    x: Value
    weight: Tensor
    eps: float
    out: Value

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return (self.x, self.out) if self.out.kind == "f32" else None


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
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class Silu(Instruction):
    x: Value
    out: Value


@dataclass(frozen=True)
class Add(Instruction):
    a: Value
    b: Value
    out: Value


@dataclass(frozen=True)
class Multiply(Instruction):
    a: Value
    b: Value
    out: Value


@dataclass(frozen=True)
class TakeRows(Instruction):
    """The op `rows`: from one row per token to one row per wanted row of logits."""

    x: Value
    out: Value
    row_by_row: ClassVar[bool] = False


# From here on: in the native program only.


@dataclass(frozen=True)
class Quantise(Instruction):
    """f32 to q8, the form in which a quantised weight wants its input."""

    x: Value
    out: Value


@dataclass(frozen=True)
class SwiGLU(Instruction):
    """silu(gate) * up."""

    gate: Value
    up: Value
    out: Value


class CacheShape(NamedTuple):
    """What one sequence must remember: keys and values of `layers` layers, [K, D] each per token."""

    layers: int
    kv_heads: int
    head_dim: int


def cache_shape(code: Sequence[Instruction]) -> CacheShape:
    """The cache that a program's attention reads and appends to."""
    uses = [step for step in code if isinstance(step, Attention)]
    sizes = {(use.kv_heads, use.k.width // use.kv_heads) for use in uses} or {(0, 0)}
    assert len(sizes) == 1, f"layers with caches of different sizes: {sorted(sizes)}"
    layers = [use.layer for use in uses]
    assert sorted(layers) == list(range(len(layers))), f"each layer attends once, got layers {layers}"
    return CacheShape(len(layers), *sizes.pop())


def listing(code: Sequence[Instruction]) -> str:
    """The program as text, one instruction a line; values are numbered in the order they are written."""
    names: dict[Value, str] = {}
    lines = []
    for step in code:
        for value in step.writes:
            names[value] = "logits" if value.kind == "out" else f"{'rt'[value.rows == 'tokens']}{len(names)}"
        left = ", ".join(f"{names[value]}:{value.kind}[{value.width}]" for value in step.writes)
        words = [_word(item, names) for name, item in step.items() if name not in WRITTEN]
        lines.append(f"{left} = {' '.join([type(step).__name__, *filter(None, words)])}")
    return "\n".join(lines)


def _word(item: Any, names: Mapping[Value, str]) -> str:
    if isinstance(item, Value):
        return names[item]
    if item is None or isinstance(item, Rope):
        return ""
    return str(getattr(item, "name", f"{item:g}" if isinstance(item, float) else item))
