"""DRY, "don't repeat yourself": tokens that would go on with a sequence that occurred before become less probable.

A token that followed an earlier occurrence of the last n tokens, n as large as it can be, loses
multiplier * base^(n - allowed) of its logit where n is at least `allowed`. Sequences do not reach beyond a breaker, and
a breaker itself loses nothing.
Source: p-e-w, text-generation-webui pull request 5677, 2024.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

LONGEST = 64  # tokens of a repeated sequence that count: the penalty is far beyond any logit by then


def penalise_repeats(
    logits: NDArray[np.float32],
    recent: Sequence[int],
    breaks: Sequence[bool],
    *,
    multiplier: float,
    base: float,
    allowed: int,
    spared: Container[int] = (),
) -> None:
    """Make the tokens that continue a repetition less probable, in place. [V]

    recent  the tokens up to here
    breaks  whether each of them is a breaker
    spared  tokens that lose nothing
    """
    for token, length in continuations(recent, breaks).items():
        if length >= allowed and token not in spared:
            logits[token] -= min(multiplier * base ** (length - allowed), 1e30)


def continuations(recent: Sequence[int], breaks: Sequence[bool]) -> dict[int, int]:
    """Each token that followed an earlier occurrence of the last tokens, and how many of them recurred there."""
    tokens = np.asarray(recent, dtype=np.int64)
    broken = np.asarray(breaks, dtype=bool)
    last = len(tokens) - 1
    if last < 1 or broken[last]:
        return {}
    ends = np.flatnonzero((tokens[:last] == tokens[last]) & ~broken[1:])
    lengths = np.ones(len(ends), dtype=np.int64)
    growing = np.arange(len(ends))
    for length in range(1, min(LONGEST, last)):
        growing = growing[ends[growing] >= length]
        same = tokens[ends[growing] - length] == tokens[last - length]
        if broken[last - length] or not same.any():
            break
        growing = growing[same]
        lengths[growing] += 1
    found: dict[int, int] = {}
    for end, length in zip(ends.tolist(), lengths.tolist(), strict=True):
        token = int(tokens[end + 1])
        found[token] = max(found.get(token, 0), length)
    return found
