"""The chain of filters: top-k, top-p, min-p, then temperature, in the order that users of GGUF files know.

Every filter keeps a head of the tokens ordered by falling logit (equal logits: by rising id), so only the
head needs to be ordered. The shares of top-p and min-p are those at temperature 1, of what top-k has kept.
Source: top-k Fan et al., arXiv:1805.04833; top-p Holtzman et al., arXiv:1904.09751; min-p Nguyen et al.,
arXiv:2407.01082.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.sample.settings import Sampling

Logits = NDArray[np.float32]


def choose(logits: Logits, sampling: Sampling, draw: float) -> int:
    """The token that a draw from [0, 1) hits, or the most probable one at temperature 0. [V] -> id"""
    if sampling.temperature == 0:
        return int(np.argmax(logits))
    ids, probabilities = candidates(logits, sampling)
    edges = np.cumsum(probabilities)
    hit = int(np.searchsorted(edges, draw * edges[-1], side="right"))
    return int(ids[min(hit, len(ids) - 1)])  # draw * sum may round up to the sum


def candidates(logits: Logits, sampling: Sampling) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The tokens that remain and their probabilities at the temperature, which must not be 0. [V] -> [n], [n]

    Ordered by falling logit, unless all tokens remain.
    """
    ids = _remaining(logits, sampling)
    kept = logits[ids].astype(np.float64)
    weights = np.exp((kept - kept.max()) / sampling.temperature)
    return ids, weights / weights.sum()


def largest(logits: Logits, count: int) -> NDArray[np.intp]:
    """The ids of the `count` largest logits, by falling logit, then rising id. [V] -> [count]"""
    # The count-th largest maximum of groups is no more than the count-th largest value, and cheap to find.
    groups = len(logits) // 64
    if count < groups:
        maxima = logits[: groups * 64].reshape(64, groups).max(axis=0)
        pool = np.flatnonzero(logits >= np.partition(maxima, groups - count)[groups - count])
    else:
        pool = np.arange(len(logits))
    return pool[np.argsort(-logits[pool], kind="stable")[:count]]


def _remaining(logits: Logits, sampling: Sampling) -> NDArray[np.intp]:
    size = len(logits)
    if 0 < sampling.top_k < size:
        head = largest(logits, sampling.top_k)
        shares = _shares(logits[head], logits[head[0]])
        return head[: _cut(shares, float(shares.sum()), sampling)]
    if sampling.top_p == 1 and sampling.min_p == 0:
        return np.arange(size)
    best = logits.max()
    total = float(_shares(logits, best).sum())
    count = 256
    while True:  # order only as much as the filters keep: ordering 150,000 tokens takes 17 ms
        head = largest(logits, min(count, size))
        cut = _cut(_shares(logits[head], best), total, sampling)
        if cut < len(head) or len(head) == size:
            return head[:cut]
        count *= 16


def _shares(logits: Logits, best: np.float32) -> NDArray[np.float64]:
    """Probabilities relative to the most probable token."""
    shares: NDArray[np.float64] = np.exp(logits - best).astype(np.float64)
    return shares


def _cut(shares: NDArray[np.float64], total: float, sampling: Sampling) -> int:
    """How many of the head top-p and min-p keep; at least one."""
    count = len(shares)
    if sampling.top_p < 1:
        count = int(np.searchsorted(np.cumsum(shares), sampling.top_p * total)) + 1
    if sampling.min_p > 0:
        count = min(count, int(np.count_nonzero(shares >= sampling.min_p)))
    return max(1, min(count, len(shares)))
