"""Every sampler by its definition, over all tokens in order and in float64: what the fast ones are proved against.

A row is two arrays of one length, tokens and their logits, by falling logit and then rising id. Each filter takes a row
and gives a row. Nothing here is fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.intp]
Floats = NDArray[np.float64]
Row = tuple[Ids, Floats]


def ordered(logits: NDArray[np.floating]) -> Row:
    """All tokens of a row of logits. [V]"""
    ids = np.array(sorted(range(len(logits)), key=lambda id: (-logits[id], id)), dtype=np.intp)
    return ids, logits[ids].astype(np.float64)


def softmax(row: Row) -> Floats:
    """Probabilities of a row's tokens."""
    weights = np.exp(row[1] - row[1].max())
    return np.asarray(weights / weights.sum())


def keep(row: Row, kept: Sequence[int]) -> Row:
    """The tokens at the given places, in order."""
    places = sorted(kept)
    return row[0][places], row[1][places]


def bias(logits: Floats, biases: Mapping[int, float]) -> Floats:
    """Numbers added to the logits of some tokens. [V] -> [V]"""
    out = logits.copy()
    for token, value in biases.items():
        out[token] += value
    return out


def penalties(logits: Floats, recent: Sequence[int], repeat: float, frequency: float, presence: float) -> Floats:
    """Repetition penalty (Keskar et al., arXiv:1909.05858), frequency and presence penalty (OpenAI). [V] -> [V]"""
    out = logits.copy()
    for token, count in Counter(recent).items():
        out[token] = out[token] / repeat if out[token] > 0 else out[token] * repeat
        out[token] -= count * frequency + presence
    return out


def dry(
    logits: Floats, recent: Sequence[int], breakers: frozenset[int], multiplier: float, base: float, allowed: int
) -> Floats:
    """Don't repeat yourself (p-e-w, text-generation-webui pull request 5677). [V] -> [V]"""
    out, lengths = logits.copy(), dict[int, int]()
    for end in range(len(recent) - 1):
        length = 0
        while length <= end and recent[end - length] == recent[-1 - length] and recent[end - length] not in breakers:
            length += 1
        if length and recent[end + 1] not in breakers:
            lengths[recent[end + 1]] = max(length, lengths.get(recent[end + 1], 0))
    for token, length in lengths.items():
        if length >= allowed:
            out[token] -= multiplier * base ** (length - allowed)
    return out


def top_k(row: Row, k: int) -> Row:
    """The k most probable (Fan et al., arXiv:1805.04833)."""
    return keep(row, range(min(k, len(row[0]))))


def top_p(row: Row, p: float) -> Row:
    """The fewest of the most probable that hold the share p (Holtzman et al., arXiv:1904.09751)."""
    held, count = 0.0, 0
    for share in softmax(row):
        held, count = held + share, count + 1
        if held >= p:
            break
    return keep(row, range(count))


def min_p(row: Row, p: float) -> Row:
    """Those at least p times as probable as the first (Nguyen et al., arXiv:2407.01082)."""
    shares = softmax(row)
    return keep(row, [place for place, share in enumerate(shares) if share >= p * shares[0]])


def top_n_sigma(row: Row, n: float) -> Row:
    """Those within n standard deviations of the highest logit (Tang et al., arXiv:2411.07641)."""
    least = row[1][0] - n * np.std(row[1][np.isfinite(row[1])])
    return keep(row, [place for place, logit in enumerate(row[1]) if logit >= least])


def typical_p(row: Row, p: float) -> Row:
    """The fewest of the most typical that hold the share p (Meister et al., arXiv:2202.00666)."""
    shares = softmax(row)
    entropy = -sum(share * np.log(share) for share in shares if share > 0)
    with np.errstate(divide="ignore"):
        distance = np.abs(-np.log(shares) - entropy)
    held, kept = 0.0, list[int]()
    for place in sorted(range(len(shares)), key=lambda place: (distance[place], place)):
        held += shares[place]
        kept.append(place)
        if held >= p:
            break
    return keep(row, kept)


def tail_free(row: Row, z: float) -> Row:
    """Cut where the second differences have had the share z of their sum (Bricken, "Tail Free Sampling", 2019)."""
    bends = np.abs(np.diff(softmax(row), 2))
    if bends.sum() == 0:
        return row
    running = np.cumsum(bends / bends.sum())
    return keep(row, range(1 + next(place for place, sum in enumerate(running) if sum > z)))


def xtc(row: Row, threshold: float) -> Row:
    """Exclude top choices: all that reach the threshold but the last (p-e-w, text-generation-webui pull 6335)."""
    shares = softmax(row)
    reached = int(np.count_nonzero((shares > 0) & (shares >= threshold)))
    return keep(row, range(max(0, reached - 1), len(row[0])))


def temperature(row: Row, degrees: float) -> Row:
    """Logits divided by the temperature."""
    return row[0], row[1] / degrees


def dynamic_temperature(row: Row, degrees: float, spread: float, exponent: float) -> float:
    """The temperature by the row's entropy (kalomaze, "Dynamic Temperature Sampling", 2023)."""
    shares = [share for share in softmax(row) if share > 0]
    if len(row[0]) < 2:
        return degrees
    entropy = -sum(share * np.log(share) for share in shares) / np.log(len(row[0]))
    low, high = max(0.0, degrees - spread), degrees + spread
    return float(low + (high - low) * entropy**exponent)


def mirostat_1(row: Row, limit: float, vocab: int) -> Row:
    """The k that Zipf's law gives for a limit of surprise (Basu et al., arXiv:2007.14966, algorithm 1)."""
    shares = softmax(row)
    above, below = 0.0, 0.0
    for i in range(min(100, len(shares)) - 1):
        step = np.log((i + 2) / (i + 1))
        above += step * np.log(shares[i] / shares[i + 1])
        below += step * step
    exponent = above / below
    excess = exponent - 1
    k = (excess * 2**limit / (1 - vocab**-excess)) ** (1 / exponent)
    return top_k(row, max(1, int(min(k, vocab))))


def mirostat_2(row: Row, limit: float) -> Row:
    """Those of no more surprise than the limit, in bits (Basu et al., arXiv:2007.14966, algorithm 2)."""
    bits = -np.log2(softmax(row))
    return keep(row, [place for place in range(len(bits)) if place == 0 or bits[place] <= limit])
