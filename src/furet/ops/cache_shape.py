"""What a program keeps of every sequence from step to step, read off its instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from furet.ops.instructions import AttendAll, Attention, Recall, Recurrent, Remember
from furet.ops.values import Instruction


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
            case AttendAll():  # works in the room of the first layer, which nothing else needs meanwhile
                layers[0] = step.heads, step.k.width // step.heads
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


def attending(code: Sequence[Instruction]) -> set[tuple[int, int, int]]:
    """(H, K, D) of the instructions that read keys and values."""
    shapes = set()
    for step in code:
        if isinstance(step, Attention | AttendAll | Recall):
            kv_heads = step.kv_heads if isinstance(step, Attention) else step.heads
            shapes.add((step.heads, kv_heads, step.q.width // step.heads))
    return shapes


def state_numbers(code: Sequence[Instruction]) -> dict[str, int]:
    """The place of every recurrent state in `CacheShape.states`."""
    names = dict.fromkeys(step.state for step in code if isinstance(step, Recurrent))
    return {name: number for number, name in enumerate(names)}
