"""Byte-pair merging over a flat table: the loop at the heart of every BPE tokenizer.

The lowest-ranked pair of neighbours merges first, the leftmost among equals, until no pair is in the table.
A heap holds the candidates, so a word of n symbols takes O(n log n) steps however long it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONE = -1  # a symbol that is in no pair
GONE = -2  # what a merge leaves in the place of its right symbol
_KEPT_WORDS = 1 << 15
_KEPT_LENGTH = 48  # characters; a longer word hardly comes twice


@dataclass(frozen=True)
class MergeTable:
    """M merges, sorted by left and then right symbol. N symbols.

    starts     [N + 1] where each left symbol's merges begin in the other three
    rights     [M] right symbol, ascending within one left symbol
    ranks      [M] lower ranks merge first
    results    [M] the symbol that the merge makes
    """

    starts: NDArray[np.uint32]
    rights: NDArray[np.uint32]
    ranks: NDArray[np.uint32]
    results: NDArray[np.uint32]

    @cached_property
    def _views(self) -> tuple[memoryview, memoryview, memoryview, memoryview]:
        """Memory views: indexing one gives a Python int several times faster than indexing an array."""
        return self.starts.data, self.rights.data, self.ranks.data, self.results.data

    def merge(self, symbols: list[int]) -> None:
        """Merge `symbols` in place: a new one stands where its first part stood, GONE in the other places."""
        starts, rights, ranks, results = self._views
        count = len(symbols)
        after = list(range(1, count + 1))
        before = list(range(-1, count - 1))

        def candidate(place: int) -> tuple[int, int, int, int, int] | None:
            """Rank, place, both symbols and the result of merging what is at `place` with what follows it."""
            left, right = symbols[place], symbols[after[place]]
            if left < 0 or right < 0:
                return None
            end = starts[left + 1]
            found = bisect_left(rights, right, starts[left], end)
            if found == end or rights[found] != right:
                return None
            return ranks[found], place, left, right, results[found]

        heap = [pair for place in range(count - 1) if (pair := candidate(place))]
        heapify(heap)
        while heap:
            _, place, left, right, result = heappop(heap)
            other = after[place]
            if symbols[place] != left or other >= count or symbols[other] != right:
                continue  # one of the two has merged elsewhere since
            symbols[place], symbols[other] = result, GONE
            after[place] = after[other]
            if after[place] < count:
                before[after[place]] = place
                if pair := candidate(place):
                    heappush(heap, pair)
            if before[place] >= 0 and (pair := candidate(before[place])):
                heappush(heap, pair)


def merge_table(table: NDArray[np.int64], symbol_count: int) -> MergeTable:
    """The merges in `table` [M, 4]: left, right, rank, result; of equal pairs the first counts."""
    import numpy as np

    first = np.unique(table[:, 0] << 32 | table[:, 1], return_index=True)[1]
    lefts, rights, ranks, results = table[first].T.astype(np.uint32)
    ends = np.cumsum(np.bincount(lefts, minlength=symbol_count))
    return MergeTable(np.concatenate([[0], ends]).astype(np.uint32), rights, ranks, results)


def remembering(merge: Callable[[str], tuple[int, ...]]) -> Callable[[str], tuple[int, ...]]:
    """`merge`, answering from memory for short words that it has seen lately."""
    common = lru_cache(_KEPT_WORDS)(merge)
    return lambda word: common(word) if len(word) <= _KEPT_LENGTH else merge(word)
