"""Filters that leave tokens out. Each is a function from the candidates to those that it keeps, at least one.

All are defined over the candidates that they are given, as if there were no others, so their order matters. The
definitions, over the full order and in float64, are in reference.py, and the tests hold both together.

Sources: top-k Fan et al., arXiv:1805.04833; top-p Holtzman et al., arXiv:1904.09751; min-p Nguyen et al.,
arXiv:2407.01082; locally typical Meister et al., arXiv:2202.00666; top-n-sigma Tang et al., arXiv:2411.07641;
tail-free Trenton Bricken, "Tail Free Sampling", 2019; XTC p-e-w, text-generation-webui pull request 6335.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.sample.candidates import Candidates, Indices, largest, leading, running


def top_k(candidates: Candidates, k: int) -> Candidates:
    """The k most probable."""
    return candidates.take(largest(candidates.logits, k)) if k < len(candidates) else candidates


def top_p(candidates: Candidates, p: float) -> Candidates:
    """The most probable until they hold the share p of the probability."""
    shares = candidates.shares()
    wanted = p * float(shares.sum(dtype=np.float64))

    def decide(head: Indices) -> int | None:
        return _until(running(shares[head]), wanted, len(shares))

    return candidates.take(leading(candidates.logits, decide))


def min_p(candidates: Candidates, p: float) -> Candidates:
    """Those at least p times as probable as the most probable one."""
    return candidates.take(np.flatnonzero(candidates.shares() >= p))


def top_n_sigma(candidates: Candidates, n: float) -> Candidates:
    """Those whose logit is at most n standard deviations below the highest; -inf does not count."""
    logits = candidates.logits
    finite = logits if np.isfinite(logits.min()) else logits[np.isfinite(logits)]
    deviation = float(np.std(finite, dtype=np.float64))
    return candidates.take(np.flatnonzero(logits >= logits.max() - n * deviation))


def typical_p(candidates: Candidates, p: float) -> Candidates:
    """Those whose surprise is nearest to what is expected of it, the entropy, until they hold the share p."""
    logits, shares = candidates.logits, candidates.shares()
    total = float(shares.sum(dtype=np.float64))
    # Surprise less entropy is what a token's logit has less than the logits have on average.
    average = float((shares * np.where(shares > 0, logits, 0)).sum(dtype=np.float64)) / total

    def decide(head: Indices) -> int | None:
        return _until(running(shares[head]), p * total, len(shares))

    return candidates.take(leading(-np.abs(logits - average), decide))


def tail_free(candidates: Candidates, z: float) -> Candidates:
    """The most probable up to where the curve of falling probabilities has had the share z of its bends."""
    shares = candidates.shares().astype(np.float64)
    count = len(shares)
    if count < 3:
        return candidates

    def decide(head: Indices) -> int | None:
        values = shares[head]
        bends = np.cumsum(np.abs(np.diff(values, 2)))
        # Behind the head the slopes, from the last one's on, fall to zero: they bend by no more than twice this.
        unseen = 0.0 if len(head) == count else 2 * values[-2]
        least, most = (int(np.searchsorted(bends, z * total, "right")) for total in (bends[-1], bends[-1] + unseen))
        if len(head) == count:
            return least + 1 if least < len(bends) else count
        return least + 1 if least == most < len(bends) else None

    return candidates.take(leading(candidates.logits, decide))


def xtc(candidates: Candidates, threshold: float) -> Candidates:
    """Without the tokens of at least that probability, but for the least probable one of them."""
    shares = candidates.shares()
    # What a form forbids has no share, and reaches no threshold, not even that of 0.
    top = np.flatnonzero((shares > 0) & (shares >= threshold * shares.sum(dtype=np.float64)))
    if len(top) < 2:
        return candidates
    kept = top[np.argsort(-candidates.logits[top], kind="stable")[-1]]
    out = np.ones(len(shares), dtype=bool)
    out[top] = False
    out[kept] = True
    return candidates.take(np.flatnonzero(out))


def _until(sums: NDArray[np.float64], wanted: float, count: int) -> int | None:
    """How many it takes until the running sums reach what is wanted; None when others than these must be seen."""
    kept = int(np.searchsorted(sums, wanted)) + 1
    if kept > len(sums):
        return count if len(sums) == count else None
    return kept
