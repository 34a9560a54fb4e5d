"""Which tensors a program reads, and in which form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from furet.ops import Tensor
from furet.ops.fused import GatedLinear
from furet.ops.instructions import Embed, EmbedPositions, ExpertLinear, Linear
from furet.ops.values import Instruction


def read(code: Sequence[Instruction]) -> dict[str, Tensor]:
    """All of them, by name."""
    return _by_name(tensor for step in code for tensor in step.tensors)


def multiplied(code: Sequence[Instruction]) -> dict[str, Tensor]:
    """Those by which rows are multiplied, as they are stored or packed."""
    steps = (step for step in code if isinstance(step, Linear | ExpertLinear | GatedLinear))
    return _by_name(weight for step in steps for weight in step.weights)


def looked_up(code: Sequence[Instruction]) -> dict[str, Tensor]:
    """Those of which a step reads its tokens' rows."""
    return _by_name(step.weight for step in code if isinstance(step, Embed))


def positions(code: Sequence[Instruction]) -> dict[str, Tensor]:
    """Those that have a row for every position."""
    return _by_name(step.weight for step in code if isinstance(step, EmbedPositions))


def copied(code: Sequence[Instruction]) -> dict[str, Tensor]:
    """Those that the core wants as float32: norms, biases and the like."""
    return _by_name(tensor for step in code for tensor in step.tensors if tensor not in _as_stored(step))


def _as_stored(step: Instruction) -> tuple[Tensor, ...]:
    match step:
        case Linear() | ExpertLinear() | GatedLinear():
            return step.weights
        case Embed() | EmbedPositions():
            return (step.weight,)
    return ()


def _by_name(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    return {tensor.name: tensor for tensor in tensors}
