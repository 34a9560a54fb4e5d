"""Log-probabilities as the model has them: log-softmax of the raw logits, whatever the sampling settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from furet.sample.candidates import Logits, largest


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer.

    logprob     natural logarithm of its probability
    top         the most probable tokens at its place and theirs, by falling probability
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


def token_logprob(logits: Logits, token: int, alternatives: int = 0) -> TokenLogprob:
    """The log-probability of a token and of the most probable alternatives, in float64. [V]"""
    less = normaliser(logits)
    top = largest(logits, alternatives) if alternatives else ()
    return TokenLogprob(token, float(logits[token]) - less, tuple((int(id), float(logits[id]) - less) for id in top))


def normaliser(logits: Logits) -> float:
    """What a logit exceeds its log-probability by, in float64. [V]"""
    best = float(logits.max())
    return best + float(np.log(np.exp(logits.astype(np.float64) - best).sum()))
