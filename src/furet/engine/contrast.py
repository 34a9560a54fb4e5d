"""Contrastive search: of the most probable tokens the one that is least like what was said before.

    argmax over the top k of (1 - alpha) * p(token) - alpha * max over earlier tokens of cos(h_token, h_earlier)

h is what the logits after a token are made of. Every candidate is computed in the same step, in a fork of the answer;
the chosen one's fork goes on.
Source: Su et al., "A contrastive framework for neural text generation", arXiv:2202.06417, equation 5.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from furet.engine.generate import Generation
from furet.sample.candidates import largest
from furet.sample.logprobs import normaliser

if TYPE_CHECKING:
    from furet.engine.answer import Piece
    from furet.engine.generate import Task
    from furet.engine.hand import Hands
    from furet.engine.stream import Draft
    from furet.text.detokenizer import Detokenizer

Rows = NDArray[np.float32]


def contrasted(
    hands: Hands, task: Task, detokenizer: Detokenizer, draft: Draft, width: int
) -> Generator[Piece, None, None]:
    """The pieces of an answer; log-probabilities are the model's own.

    width   of what logits are made of, C
    """
    alpha, count = float(task.request.penalty_alpha), int(task.request.top_k)
    generation = Generation(task, detokenizer)
    earlier = np.empty((len(task.prompt) + task.limit, width), np.float32)  # [T, C], each of length 1

    def note(at: int, rows: Rows) -> None:
        earlier[at : at + len(rows)] = directions(rows)

    with hands:
        one = hands.take(task.prompt, sees=note)
        if not hands.compute([one]):
            return
        while True:
            logits = one.logits.copy()
            tokens = largest(logits, count)
            tries = [one, *(hands.fork(one) for _ in tokens[1:])]
            for hand, token in zip(tries, tokens, strict=True):
                hand.tokens.append(int(token))
            if not hands.compute(tries):
                return
            draft.timings = hands.timings
            found = directions(np.stack([hand.seen for hand in tries]))
            shares = np.exp(logits[tokens].astype(np.float64) - normaliser(logits))
            length = len(one.tokens) - 1
            best = int(np.argmax(contrast(shares, found, earlier[:length], alpha)))
            piece = generation.take(int(tokens[best]), logits)
            if piece is not None:
                yield draft.add(piece)
            if generation.reason is not None:
                draft.finish_reason, draft.stop = generation.reason, generation.stop
                return
            one, earlier[length] = tries[best], found[best]
            hands.drop(hand for hand in tries if hand is not one)


def contrast(shares: NDArray[np.float64], found: Rows, earlier: Rows, alpha: float) -> NDArray[np.float64]:
    """The scores of candidates with these probabilities. [k], [k, C], [T, C] -> [k]"""
    likeness = (found @ earlier.T).max(axis=1)
    return np.asarray((1 - alpha) * shares - alpha * likeness, dtype=np.float64)


def directions(rows: Rows) -> Rows:
    """The rows at length 1. [R, C]"""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
