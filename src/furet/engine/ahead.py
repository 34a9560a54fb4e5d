"""How far to guess ahead: as far as pays, by what steps of this model take on this machine.

A step of several tokens reads the weights once, so guesses that it verifies on the way cost little, and those that were
right are tokens for nothing. Tokens are chosen from the same logits as ever, so answers stay the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from furet.sample.lookup import Lookup

if TYPE_CHECKING:
    from furet.engine.drafting import Drafts

MOST = 7  # tokens that are guessed at a time
FIRST = 3
FRESH = 64  # steps with guesses after which one without is timed anew
PAUSE, LONGEST_PAUSE = 16, 1024  # tokens without a guess after guesses that did not pay
FORGET = 0.8  # of what earlier guesses have won or lost, with every guess


class Worth(NamedTuple):
    """What guesses of a step are judged by, in seconds.

    token   what a token takes where nothing is guessed, which is what a right guess saves
    guess   what each guess of the step took, right or wrong
    """

    token: float
    guess: float


class Prices:
    """What steps without guesses take, by how many answers are in them."""

    def __init__(self) -> None:
        self._plain: dict[int, float] = {}
        self._fresh: dict[int, int] = {}  # steps with guesses for which that still counts

    def known(self, answers: int) -> bool:
        """Whether guesses in a step with so many answers could be judged."""
        return answers in self._plain

    def note(self, answers: int, guesses: int, seconds: float) -> Worth | None:
        """A step with so many answers and guesses took so long; what the guesses are judged by, if there are any."""
        plain = self._plain.get(answers)
        if guesses == 0:
            self._plain[answers] = seconds if plain is None else 0.8 * plain + 0.2 * seconds
            self._fresh[answers] = FRESH
        if guesses == 0 or plain is None:
            return None
        self._fresh[answers] -= 1
        if self._fresh[answers] == 0:
            del self._plain[answers]
        return Worth(plain / answers, (seconds - plain) / guesses)


class Pace:
    """Decides for one answer how many tokens to guess before each step."""

    def __init__(self) -> None:
        self._won = 0.0  # seconds, of late
        self._count = FIRST
        self._rest = 0
        self._pause = PAUSE

    def count(self) -> int:
        """Tokens to guess now."""
        if self._rest:
            self._rest -= 1
            return 0
        return self._count

    def note(self, guessed: int, right: int, won: float) -> None:
        """So many of the guesses were right, and they have won so many seconds."""
        self._won = FORGET * self._won + won
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
    took    seconds that it took to make them

    must    tells what will follow whatever the model thinks of it, as a form may have it
    drafts  guesses of a second model
    """

    def __init__(self, wanted: bool, drafts: Drafts | None = None, must: Callable[[], list[int]] = list) -> None:
        self.right = 0
        self.took = 0.0
        self._drafts = drafts
        self._makers: list[tuple[Pace, Callable[[list[int], int], list[int]]]] = []
        if wanted:
            self._makers = [(Pace(), lambda tokens, count: must()[:count]), (Pace(), Lookup().guess)]
            if drafts is not None:
                self._makers.append((Pace(), drafts.guess))
        self._pace = Pace()
        self._count = 0

    def make(self, tokens: list[int], most: int) -> list[int]:
        """Guess what follows, as far as it pays: what must, or what did before, or how a second model would go on."""
        began = perf_counter()
        guessed: list[int] = []
        for pace, guess in self._makers:
            self._pace = pace
            if guessed := guess(tokens, min(pace.count(), most)):
                break
        self.took = perf_counter() - began
        self._count = len(guessed)
        return guessed

    def judge(self, worth: Worth) -> None:
        """The step that verified the last guesses is over."""
        if self._count:
            # That a second model has read the prompt is not held against its guesses: it is done once.
            won = self.right * worth.token - self._count * worth.guess - self.took
            self._pace.note(self._count, self.right, won)

    def close(self) -> None:
        """Let go of what a second model holds."""
        if self._drafts is not None:
            self._drafts.close()
