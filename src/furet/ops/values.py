"""What the flat program is made of: values, each written once, and instructions that read and write them.

An instruction is a frozen dataclass whose fields say all: those in `WRITTEN` hold the values it writes, those
in `STORED` tensors of the model file, and other values are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from furet.ops import Tensor

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


def in_place(read: Value, written: Value) -> tuple[Value, Value] | None:
    """The pair as `Instruction.shared` wants it, unless what is written takes another form."""
    return (read, written) if written.kind == "f32" else None


@dataclass(frozen=True)
class Instruction:
    """Base of all instructions."""

    __match_args__: ClassVar[tuple[str, ...]]  # set by dataclass: the names of the fields

    # Whether what is written for a token depends on what is read of the same token, and on no other.
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
