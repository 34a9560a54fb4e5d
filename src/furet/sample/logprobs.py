"""Log-probabilities as the model has them: log-softmax of the raw logits, whatever the sampling settings."""

from __future__ import annotations

import numpy as np

from furet.sample.candidates import Logits, largest
from furet.sample.token_logprob import TokenLogprob


def token_logprob(logits: Logits, token: int, alternatives: int = 0) -> TokenLogprob:
    """The log-probability of a token and of the most probable alternatives, in float64. [V]"""
    less = normaliser(logits)
    top = largest(logits, alternatives) if alternatives else ()
    return TokenLogprob(token, float(logits[token]) - less, tuple((int(id), float(logits[id]) - less) for id in top))


def normaliser(logits: Logits) -> float:
    """What a logit exceeds its log-probability by, in float64. [V]"""
    best = float(logits.max())
    return best + float(np.log(np.exp(logits.astype(np.float64) - best).sum()))
