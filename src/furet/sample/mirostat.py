"""Mirostat: the surprise of each token, in bits, is held near a target by moving the cut after every token.

`limit` is the mu of the paper: the most surprise that a token may have; it begins at twice the target.
Source: Basu et al., "Mirostat", arXiv:2007.14966 (algorithm 1 for the first version, 2 for the second).
"""

from __future__ import annotations

import numpy as np

from furet.sample.candidates import Candidates, largest

FITTED = 100  # tokens from which the exponent of Zipf's law is estimated


def cut_by_law(candidates: Candidates, limit: float, vocab: int) -> Candidates:
    """Version 1: as many of the most probable as Zipf's law says have no more surprise."""
    head = candidates.take(largest(candidates.logits, min(FITTED, len(candidates))))
    head = head.take(np.flatnonzero(np.isfinite(head.logits)))
    if len(head) < 2 or head.logits[0] == head.logits[-1]:
        return candidates
    steps = np.diff(-head.logits.astype(np.float64))  # log(p[i] / p[i + 1])
    ranks = np.arange(2, len(head) + 1)
    logs = np.log(ranks / (ranks - 1))
    exponent = float(logs @ steps / (logs @ logs))
    excess = exponent - 1
    with np.errstate(all="ignore"):
        # Where thousands of certain tokens have raised the limit beyond all numbers, all are wanted.
        wanted = np.power(excess * np.exp2(limit) / (1 - float(vocab) ** -excess), 1 / exponent)
    count = len(candidates) if not np.isfinite(wanted) else max(1, min(int(wanted), len(candidates)))
    return candidates.take(largest(candidates.logits, count))


def cut_by_surprise(candidates: Candidates, limit: float) -> Candidates:
    """Version 2: those of no more surprise; at least the most probable one."""
    total = float(np.log(candidates.shares().sum(dtype=np.float64)))
    kept = np.flatnonzero(candidates.logits >= candidates.logits.max() + total - limit * np.log(2))
    return candidates.take(kept if len(kept) else largest(candidates.logits, 1))


def moved(limit: float, probability: float, target: float, rate: float) -> float:
    """The limit for the next token, after one that had this probability among the candidates."""
    return limit - rate * (-float(np.log2(probability)) - target)
