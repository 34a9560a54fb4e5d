"""A program as text, for people and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from furet.ops.rope import Rope
from furet.ops.values import WRITTEN, Instruction, Value


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
