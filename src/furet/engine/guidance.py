"""Classifier-free guidance: what the prompt adds to the next token counts for more.

A second sequence goes on with the same answer after another prompt: one to be led away from, or only the last token.

    log p = log p_negative + guidance * (log p_prompt - log p_negative)

Source: Sanchez et al., "Stay on topic with Classifier-Free Guidance", arXiv:2306.17806, equation 7.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np

from furet.engine.generate import Generation
from furet.sample.candidates import Logits
from furet.sample.logprobs import normaliser

if TYPE_CHECKING:
    from furet.engine.answer import Piece
    from furet.engine.generate import Task
    from furet.engine.hand import Hands
    from furet.engine.stream import Draft
    from furet.text.detokenizer import Detokenizer


def guided(
    hands: Hands, task: Task, negative: list[int], detokenizer: Detokenizer, draft: Draft
) -> Generator[Piece, None, None]:
    """The pieces of an answer; whatever chooses its tokens sees the guided log-probabilities.

    negative    tokens of the other prompt
    """
    generation = Generation(task, detokenizer)
    with hands:
        both = wanted, other = hands.take(task.prompt), hands.take(negative)
        while hands.compute(both):
            draft.timings = hands.timings
            row = combined(wanted.logits, other.logits, float(task.request.guidance))
            for piece in generation.advance(row[None]):
                if piece is not None:
                    yield draft.add(piece)
            if generation.reason is not None:
                draft.finish_reason, draft.stop = generation.reason, generation.stop
                return
            for hand in both:
                hand.tokens.append(generation.tokens[-1])


def combined(wanted: Logits, other: Logits, guidance: float) -> Logits:
    """Log-probabilities, but for a constant, with the guidance. [V], [V] -> [V]"""
    # Penalties divide logits, so what zero means matters: as in transformers, each side is a log-softmax first.
    a, b = (np.subtract(row, normaliser(row), dtype=np.float32) for row in (wanted, other))
    a -= b
    a *= guidance
    a += b
    return a
