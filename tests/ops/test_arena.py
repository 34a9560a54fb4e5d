"""The arena: nothing living is overwritten, and no more memory is taken than what lives at once asks for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
import tiny
from forwards import NAMES, ROPE, Forwards, weights

from furet.families import read_model
from furet.ops import Ops
from furet.ops.arena import ALIGNMENT, lay_out
from furet.ops.instructions import Rotate
from furet.ops.passes import lower
from furet.ops.trace import trace
from furet.ops.values import Instruction, Value

MAX_TOKENS, MAX_ROWS = 7, 3


def row_bytes(kind: str, width: int) -> int:
    return {"f32": 4 * width, "q8": width + width // 4}[kind]


def size(value: Value) -> int:
    bytes = row_bytes(value.kind, value.width) * (MAX_TOKENS if value.rows == "tokens" else MAX_ROWS)
    return -(-bytes // ALIGNMENT) * ALIGNMENT


def lifetimes(code: Sequence[Instruction]) -> dict[Value, tuple[int, int]]:
    """First and last instruction of every value that the arena holds."""
    spans: dict[Value, tuple[int, int]] = {}
    for i, step in enumerate(code):
        for value in (*step.reads, *step.writes):
            if value.kind != "out":
                spans[value] = spans.get(value, (i, i))[0], i
    return spans


def programs() -> dict[str, list[Instruction]]:
    made = {}
    for types in ("F32", "Q8_0"):
        forwards = Forwards(weights(types))
        made |= {f"{name} {types}": lower(trace(getattr(forwards, name))) for name in NAMES}
        for architecture in ("llama", "qwen2"):
            model = read_model(tiny.model(architecture, types=types, C=128, L=3))
            made[f"{architecture} {types}"] = lower(trace(model.forward))
    return made


PROGRAMS = programs()


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_that_live_together_lie_apart(name: str) -> None:
    code = PROGRAMS[name]
    layout, spans = lay_out(code, row_bytes, MAX_TOKENS, MAX_ROWS), lifetimes(code)
    assert set(layout.offsets) == set(spans)
    heirs = {step.shared for step in code if step.shared}
    for a, b in combinations(spans, 2):
        (a_first, a_last), (b_first, b_last) = spans[a], spans[b]
        if a_last < b_first or b_last < a_first or ((a, b) in heirs and a_last == b_first):
            continue
        start, other = layout.offsets[a], layout.offsets[b]
        assert start + size(a) <= other or other + size(b) <= start, f"{a} and {b}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_arena_is_as_small_as_its_fullest_moment(name: str) -> None:
    """Within a quarter; a value placed while others surround it may leave gaps."""
    code = PROGRAMS[name]
    layout, spans = lay_out(code, row_bytes, MAX_TOKENS, MAX_ROWS), lifetimes(code)
    moments = [
        {layout.offsets[value]: size(value) for value, (first, last) in spans.items() if first <= i <= last}
        for i in range(len(code))
    ]
    fullest = max(sum(places.values()) for places in moments)
    assert fullest <= layout.bytes <= 1.25 * fullest
    assert all(offset % ALIGNMENT == 0 for offset in layout.offsets.values())


def test_layers_use_the_same_places() -> None:
    """Three layers take no more than one."""
    shapes = [read_model(tiny.model("llama", types="Q8_0", L=layers)) for layers in (2, 3, 9)]
    sizes = {lay_out(lower(trace(model.forward)), row_bytes, MAX_TOKENS, MAX_ROWS).bytes for model in shapes}
    assert len(sizes) == 1


def test_rotation_and_residual_stay_in_place() -> None:
    code = PROGRAMS["llama Q8_0"]
    offsets = lay_out(code, row_bytes, MAX_TOKENS, MAX_ROWS).offsets
    pairs = [step.shared for step in code if step.shared and step.shared[1].kind != "out"]
    assert all(offsets[a] == offsets[b] for a, b in pairs[:-1]) and any(isinstance(s, Rotate) for s in code)


def test_rotated_value_with_another_reader_is_refused() -> None:
    """The core rotates in place, so the plain value would be gone."""
    w = weights()

    def forward(op: Ops[Value]) -> Value:
        x = op.embed(w.embed)
        return op.linear(op.rows(op.attention(0, op.rope(x, 4, ROPE), x, x, 4, 4, 1.0)), w.head)

    with pytest.raises(AssertionError, match="after its rotation"):
        lay_out(lower(trace(forward)), row_bytes, 1, 1)
