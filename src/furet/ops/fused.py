"""Instructions that no op stands for: `furet.ops.passes` makes them, for the native program alone."""

from __future__ import annotations

from dataclasses import dataclass

from furet.ops import Activation, Tensor
from furet.ops.values import Instruction, Value, in_place


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

    @property
    def shared(self) -> tuple[Value, Value] | None:
        return in_place(self.gate, self.out)


@dataclass(frozen=True)
class GatedLinear(Instruction):
    """function(x @ weights[0].T) * (x @ weights[1].T), of which neither product is ever whole in memory."""

    x: Value
    weights: tuple[Tensor, Tensor]
    function: Activation
    out: Value
