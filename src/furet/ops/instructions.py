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

from furet.ops import Activation, Tensor
from furet.ops.rope import Rope

if TYPE_CHECKING:
    from furet.ops.trace import Trace

Kind = Literal["f32", "q8", "route", "out"]
Rows = Literal["tokens", "rows"]

WRITTEN = frozenset({"out", "outs"})
STORED = frozenset(
    {"weight", "weights", "bias", "biases", "factors", "distances", "decay", "first", "rates", "skip"}
)


@dataclass(frozen=True, eq=False)
class Value:
    """A symbol for [T, width] ("tokens") or [R, width] ("rows"); equal only to itself.

    kind    f32, q8 (quantised activations), route (experts and their weights), or out (the caller's array)
    each    rows per token, one after the other: a token's experts
    """

    width: int
    rows: Rows = "tokens"
    kind: Kind = "f32"
    each: int = 1
    trace: Trace | None = field(default=None, repr=False)

    def __add__(self, other: Value) -> Value:
        assert self.trace is not None, "a value outside of a trace has no arithmetic"
        return self.trace.add(self, other)

    def __sub__(self, other: Value) -> Value:
        assert self.trace is not None, "a value outside of a trace has no arithmetic"
        return self.trace.subtract(self, other)

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
        return (self.x, self.out) if self.out.kind == "f32" else None


@dataclass(frozen=True)
class LayerNorm(Instruction):
    x: Value
    weight: Tensor
    bias: Tensor | None
    eps: float
    groups: int
    out: Value


@dataclass(frozen=True)
class L2Norm(Instruction):
    x: Value
    heads: int
    eps: float
    out: Value


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
    out: Value


@dataclass(frozen=True)
class Activate(Instruction):
    x: Value
    function: Activation
    out: Value


@dataclass(frozen=True)
class Scale(Instruction):
    x: Value
    factor: float
    out: Value


@dataclass(frozen=True)
class SoftCap(Instruction):
    x: Value
    cap: float
    out: Value


@dataclass(frozen=True)
class Clamp(Instruction):
    x: Value
    bound: float
    out: Value


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


@dataclass(frozen=True)
class Add(Instruction):
    a: Value
    b: Value
    out: Value


@dataclass(frozen=True)
class Subtract(Instruction):
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
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class Dispatch(Instruction):
    x: Value
    route: Value
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class ExpertLinear(Instruction):
    x: Value
    weight: Tensor
    route: Value
    out: Value
    row_by_row: ClassVar[bool] = False


@dataclass(frozen=True)
class Combine(Instruction):
    x: Value
    route: Value
    out: Value
    row_by_row: ClassVar[bool] = False


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


# From here on: in the native program only.


@dataclass(frozen=True)
class Quantise(Instruction):
    """f32 to q8, the form in which a quantised weight wants its input."""

    x: Value
    out: Value


@dataclass(frozen=True)
class Gated(Instruction):
    """function(gate) * up: the heart of SwiGLU and its kin."""

    function: Activation
    gate: Value
    up: Value
    out: Value


class CacheShape(NamedTuple):
    """What one sequence must remember.

    layers      (K, D) of every layer that attends: keys and values per token
    memory      (H, D) of every layer that recalls: keys and values per token of an encoder
    states      values of every recurrent state
    """

    layers: tuple[tuple[int, int], ...]
    memory: tuple[tuple[int, int], ...] = ()
    states: tuple[int, ...] = ()


def cache_shape(code: Sequence[Instruction]) -> CacheShape:
    """The cache that a program reads and appends to."""
    layers: dict[int, tuple[int, int]] = {}
    memory: dict[int, tuple[int, int]] = {}
    states: dict[str, int] = {}
    for step in code:
        match step:
            case Attention():
                layers[step.layer] = step.kv_heads, step.k.width // step.kv_heads
            case Recall():
                memory[step.layer] = step.heads, step.q.width // step.heads
            case Remember():
                memory[step.layer] = step.heads, step.k.width // step.heads
            case Recurrent():
                states[step.state] = step.state_floats
    for uses in (layers, memory):
        assert sorted(uses) == list(range(len(uses))), f"layers count from 0 without gaps: {sorted(uses)}"
    return CacheShape(
        tuple(layers[i] for i in range(len(layers))),
        tuple(memory[i] for i in range(len(memory))),
        tuple(states.values()),
    )


def state_numbers(code: Sequence[Instruction]) -> dict[str, int]:
    """The place of every recurrent state in `CacheShape.states`."""
    names = dict.fromkeys(step.state for step in code if isinstance(step, Recurrent))
    return {name: number for number, name in enumerate(names)}


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
