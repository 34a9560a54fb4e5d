"""One answer in the making: logits become tokens, tokens become text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from furet.engine.ahead import Guesses
from furet.engine.answer import FinishReason, Piece
from furet.engine.request import Request
from furet.sample.chain import Chooser
from furet.sample.logprobs import token_logprob
from furet.sample.stop import StopStrings

if TYPE_CHECKING:
    from furet.engine.drafting import Drafts
    from furet.text.detokenizer import Detokenizer

Progress = Callable[[int, int], None]
"""Called with tokens of the prompt done and in all, before each step of a prefill and after the last."""


@dataclass(frozen=True)
class Task:
    """One answer to be made.

    chooser chooses its tokens
    limit   tokens that it may have at most
    ends    tokens that end it
    source  the text that is answered, for a model with an encoder; the prompt is then what an answer begins with
    drafts  guesses of a second model
    """

    prompt: list[int]
    request: Request
    chooser: Chooser
    limit: int
    ends: frozenset[int]
    progress: Progress | None = None
    source: list[int] | None = None
    drafts: Drafts | None = None


class Generation:
    """The tokens of prompt and answer, and what is shown of them.

    tokens  those of which the model is to compute what follows
    reason  why it ended; None: it goes on
    """

    def __init__(self, task: Task, detokenizer: Detokenizer) -> None:
        self.tokens = list(task.prompt)
        self.reason: FinishReason | None = None
        self.guesses = Guesses(task.request.speculate, task.drafts, task.chooser.must)
        self._guessed: list[int] = []
        self._task = task
        self._detokenizer = detokenizer
        self._stops = StopStrings(task.request.stops)

    @property
    def stop(self) -> str | None:
        """The stop string that was found."""
        return self._stops.stop

    def guess(self, most: int) -> list[int]:
        """Tokens that may follow, at most so many; the next `advance` has their logits, too."""
        left = self._task.limit - (len(self.tokens) - len(self._task.prompt)) - 1  # of the last token none are wanted
        self._guessed = self.guesses.make(self.tokens, max(0, min(most, left)))
        return self._guessed

    def advance(self, rows: NDArray[np.float32]) -> Iterator[Piece | None]:
        """For each token that is chosen its piece, or None where it shows nothing.

        rows    logits that follow the last token and each of the guesses; those after a wrong guess are not looked at.
                [1 + G, V]
        """
        guessed, self._guessed = self._guessed, []
        for place, row in enumerate(rows):
            yield self._choose(row)
            if self.reason is not None or place == len(guessed) or guessed[place] != self.tokens[-1]:
                self.guesses.right = place
                return

    def _choose(self, logits: NDArray[np.float32]) -> Piece | None:
        index = len(self.tokens) - len(self._task.prompt)
        return self.take(self._task.chooser.choose(logits, self.tokens, index), logits)

    def take(self, token: int, logits: NDArray[np.float32]) -> Piece | None:
        """The answer has one more token, chosen from these logits; its piece, or None where it shows nothing."""
        task = self._task
        index = len(self.tokens) - len(task.prompt)
        if token in task.ends:
            self.reason = "stop"
            text = self._stops.push(self._detokenizer.flush()) + self._stops.flush()
            return Piece(text) if text else None
        wanted = task.request.logprobs
        logprob = None if wanted is None else token_logprob(logits, token, wanted)
        text = self._stops.push(self._detokenizer.push(token))
        complete, last = task.chooser.finished, index + 1 == task.limit
        if (complete or last) and not self._stops.found:
            text += self._stops.push(self._detokenizer.flush())
        if self._stops.found or complete or last:
            self.reason = "stop" if self._stops.found or complete else "length"
            text += self._stops.flush()
        self.tokens.append(token)
        return Piece(text, token, logprob)
