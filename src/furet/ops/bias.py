"""What is added to attention scores for the distance between query and key.

ALiBi: head h takes off slope[h] per token of distance. For H a power of two slope[h] is 2^(-m (h+1) / H), with
m the largest exponent (8 in practice). Otherwise the slopes of the next lower power of two come first,
and every second one of the next higher after them. Source: Press et al., arXiv:2108.12409, and their program.

Buckets: half of them stand for one distance each; the other half for ranges that grow in proportion, up to
`FARTHEST`, beyond which all distances share the last. Looking both ways, one half of the buckets is for keys
behind the query. Source: Raffel et al., arXiv:1910.10683, section 2.1.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

FARTHEST = 128  # tokens; no T5 model was published with another


def slopes(heads: int, largest: float) -> NDArray[np.float64]:
    """What a score loses per token of distance, by head. -> [H]"""
    power = 2 ** (heads.bit_length() - 1)
    first = 2.0 ** (-largest * np.arange(1, power + 1) / power)
    others = 2.0 ** (-largest * np.arange(1, 2 * (heads - power), 2) / (2 * power))
    return np.concatenate([first, others])


def buckets(distances: NDArray[np.int64], count: int, both_ways: bool) -> NDArray[np.int64]:
    """The bucket of each distance, key position minus query position. [...] -> [...]

    both_ways   an encoder's, where keys may lie behind the query
    """
    start = np.zeros_like(distances)
    if both_ways:
        count //= 2
        start = np.where(distances > 0, count, 0)
        away = np.abs(distances)
    else:
        away = np.maximum(-distances, 0)
    exact = count // 2
    # In float32, as T5 computes it: at the border of two buckets float64 may fall on the other side.
    near = np.maximum(away, 1).astype(np.float32) / np.float32(exact)
    ratio = np.log(near) / np.float32(log(FARTHEST / exact))
    far = exact + (ratio * np.float32(count - exact)).astype(np.int64)
    return start + np.where(away < exact, away, np.minimum(far, count - 1))


def by_distance(table: NDArray[np.float32], both_ways: bool) -> NDArray[np.float32]:
    """What a table by bucket says of every distance from -FARTHEST on; the ends hold for all beyond.

    table       [buckets, H]
    returns     [H, FARTHEST + 1], or [H, 2 * FARTHEST + 1] looking both ways
    """
    distances = np.arange(-FARTHEST, FARTHEST + 1 if both_ways else 1)
    return np.ascontiguousarray(table[buckets(distances, len(table), both_ways)].T)
