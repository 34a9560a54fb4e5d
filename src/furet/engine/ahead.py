"""How far to guess ahead: as far as pays, by what steps of this model took on this machine.

A step of several tokens reads the weights once, so guesses that it verifies on the way cost little, and those that were
right are tokens for nothing. Tokens are chosen from the same logits as ever, so answers stay the same, bit for bit.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from furet.sample.lookup import Lookup

if TYPE_CHECKING:
    from furet.engine.drafting import Drafts

MOST = 7  # tokens that are guessed at a time
FIRST = 3
PAUSE, LONGEST_PAUSE = 16, 1024  # tokens without a guess after guesses that did not pay
FORGET = 0.8  # of what earlier guesses have won or lost, with every guess


class Pace:
    """Decides for one answer how many tokens to guess before each step."""

    def __init__(self) -> None:
        self._single: float | None = None  # seconds of a step without guesses
        self._won = 0.0  # seconds, of late
        self._count = FIRST
        self._rest = 0
        self._pause = PAUSE

    def count(self) -> int:
        """Tokens to guess now."""
        if self._single is None:
            return 0
        if self._rest:
            self._rest -= 1
            return 0
        return self._count

    def note(self, guessed: int, right: int, seconds: float) -> None:
        """A step took so long, and so many of its guesses were right."""
        if guessed == 0:
            self._single = seconds if self._single is None else 0.8 * self._single + 0.2 * seconds
            return
        assert self._single is not None
        self._won = FORGET * self._won + (1 + right) * self._single - seconds
        if self._won < 0:
            self._won, self._count = 0.0, 1
            self._rest, self._pause = self._pause, min(4 * self._pause, LONGEST_PAUSE)
        elif right == guessed:
            self._count, self._pause = min(2 * self._count + 1, MOST), PAUSE
        else:
            self._count = max(1, right)


class Guesses:
    """The tokens that the next step is to verify, and what the last ones were worth.

    right   of the last guesses, how many came to be
    drafted seconds that a second model took for them
    """

    def __init__(self, wanted: bool, drafts: Drafts | None = None) -> None:
        self.right = 0
        self.drafted = 0.0
        self._wanted = wanted
        self._lookup, self._lookup_pace = Lookup(), Pace()
        self._drafts, self._draft_pace = drafts, Pace()
        self._made_by = self._lookup_pace
        self._count = 0

    def make(self, tokens: list[int], most: int) -> list[int]:
        """Guess what follows, as far as it pays: as the text has it, or else as a second model would go on."""
        guessed: list[int] = []
        self.drafted = 0.0
        if self._wanted:
            guessed = self._lookup.guess(tokens, min(self._lookup_pace.count(), most))
            self._made_by = self._lookup_pace
            if not guessed and self._drafts is not None:
                began = perf_counter()
                guessed = self._drafts.guess(tokens, min(self._draft_pace.count(), most))
                self.drafted = perf_counter() - began
                self._made_by = self._draft_pace
        self._count = len(guessed)
        return guessed

    def took(self, seconds: float) -> None:
        """The step that verified the last guesses took so long."""
        if self._count:
            # That a second model has read the prompt is not held against its guesses: it is done once.
            self._made_by.note(self._count, self.right, seconds + self.drafted)
        else:
            for pace in (self._lookup_pace, self._draft_pace):
                pace.note(0, 0, seconds)

    def close(self) -> None:
        """Let go of what a second model holds."""
        if self._drafts is not None:
            self._drafts.close()
