"""The tokens that remain while a chain runs, and how to find the first of many without ordering all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from furet import _core

Logits = NDArray[np.float32]
Indices = NDArray[np.intp]

HEAD = 256  # entries that are ordered first; sixteen times as many each time that they do not suffice


@dataclass(frozen=True)
class Candidates:
    """Tokens that remain, in any order.

    logits  one for each, float32 or float64 [n]
    ids     of these tokens [n]; None: all of the vocabulary, in order
    """

    logits: NDArray[np.floating]
    ids: Indices | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def take(self, kept: Indices) -> Candidates:
        """Those at the given places, in that order."""
        return Candidates(self.logits[kept], kept if self.ids is None else self.ids[kept])

    def id(self, place: int) -> int:
        """The token at a place."""
        return place if self.ids is None else int(self.ids[place])

    def shares(self) -> NDArray[np.floating]:
        """Probabilities relative to that of the most probable token. [n]"""
        shares: NDArray[np.floating] = np.exp(self.logits - self.logits.max())
        return shares

    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits, in float64. [n]"""
        wide = self.logits.astype(np.float64)
        weights = np.exp(wide - wide.max())
        return np.asarray(weights / weights.sum())


def largest(keys: NDArray[np.floating], count: int) -> Indices:
    """Where the `count` largest keys are, by falling key, then rising index. [n] -> [count]"""
    if keys.dtype == np.float32 and keys.flags.c_contiguous and count < len(keys):
        return _core.largest(keys, count)
    if 0 < count < len(keys):
        pool = np.flatnonzero(keys >= np.partition(keys, len(keys) - count)[len(keys) - count])
    else:
        pool = np.arange(len(keys))
    return pool[np.argsort(-keys[pool], kind="stable")[:count]]


def running(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """The sums up to and with each value, in float64. [n] -> [n]"""
    # In place: a second array of a vocabulary's size would cost more, in memory that the system has to clear.
    sums = values.astype(np.float64)
    return np.cumsum(sums, out=sums)


def leading(keys: NDArray[np.floating], decide: Callable[[Indices], int | None]) -> Indices:
    """The first entries by falling key, then rising index: as many as `decide` keeps of a head of them.

    decide  gets the indices of a head in order; None when it must see more, which it may not say of all
    """
    # Ordering 150,000 entries takes 17 ms, and what a filter keeps is seldom more than a few hundred.
    count = HEAD
    while True:
        head = largest(keys, min(count, len(keys)))
        if (kept := decide(head)) is not None:
            return head[:kept]
        assert len(head) < len(keys), "a filter must decide when it sees all"
        count *= 16
