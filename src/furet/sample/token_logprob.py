"""A log-probability on its way to the user, for those who pass it on and count nothing: without NumPy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer.

    logprob     natural logarithm of its probability
    top         the most probable tokens at its place and theirs, by falling probability
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
