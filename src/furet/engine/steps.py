"""How many tokens go into one step, by what a model gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from furet.families.family import Kind

LOGITS_ROWS = 16  # tokens of a step that wants the logits of every token
LONGEST = 1024  # tokens of one step, and so of what an encoder reads


class StepSizes(NamedTuple):
    """tokens and rows of logits of a step at most; source: tokens of a text that an encoder reads."""

    tokens: int
    rows: int
    source: int = 0


def step_sizes(kind: Kind, chunk: int, context: int) -> StepSizes:
    """The sizes for a context of so many tokens, of which a prompt goes in by chunks."""
    if kind == "encoder":
        return StepSizes(min(context, LONGEST), min(context, LONGEST))
    tokens = min(chunk, context)
    return StepSizes(tokens, min(LOGITS_ROWS, tokens), min(context, LONGEST) if kind == "answer" else 0)
