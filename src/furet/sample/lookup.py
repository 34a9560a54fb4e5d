"""Guesses from the text itself: what followed the last tokens when they occurred before will follow again.

Source: prompt lookup decoding, Apoorv Saxena, 2023; guesses are verified by the model, see engine/ahead.py.
"""

from __future__ import annotations

from collections.abc import Sequence

SPAN = 3  # tokens that must have occurred before


class Lookup:
    """Where every few tokens of one text occurred last; it grows with the text."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._seen = SPAN

    def guess(self, tokens: Sequence[int], count: int) -> list[int]:
        """Up to so many tokens that may follow, none where the last ones are new. `tokens` only ever grows."""
        for end in range(self._seen, len(tokens)):  # all but those that end the text
            self._after[tuple(tokens[end - SPAN : end])] = end
        self._seen = max(SPAN, len(tokens))
        at = self._after.get(tuple(tokens[-SPAN:]))
        return [] if at is None else list(tokens[at : at + count])
