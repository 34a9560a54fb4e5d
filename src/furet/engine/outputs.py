"""The logits, or an encoder's rows, of every token of a text, as a request among others."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from furet.engine.ahead import Worth
    from furet.engine.held import Caches, Held
    from furet.engine.scheduler import Scheduler


class Outputs:
    """One text; see `furet.engine.work.Work`.

    out     gets the rows. [T, V]
    source  the text that the tokens are an answer to, for a model with an encoder
    whole   an encoder reads all of it in one step
    """

    answering = resting = sees = False
    wholly = True
    tokens = ()

    def __init__(
        self, tokens: list[int], out: NDArray[np.float32], source: list[int] | None = None, *, whole: bool = False
    ) -> None:
        self.served = 0
        self.ended = False
        self.cancelled = False
        self.error: Exception | None = None
        self.over = Event()
        self._tokens = tokens
        self._out = out
        self._source = source
        self._whole = whole
        self._done = 0
        self._held: Held | None = None

    @property
    def held(self) -> Held:
        assert self._held is not None, "a request that runs holds a cache"
        return self._held

    @property
    def reading(self) -> bool:
        return self._held is not None

    def open(self, caches: Caches) -> bool:
        self._held = caches.open(self._tokens, self._source, fresh=True)
        self._done = 0
        return self._held is not None

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def prompt_share(self, tokens: int, rows: int) -> tuple[list[int], int]:
        count = min(tokens, rows, len(self._tokens) - self._done)
        if self._whole and count < len(self._tokens):
            return [], 0
        return self._tokens[self._done : self._done + count], count

    def answer_share(self, guesses: int) -> list[int]:
        raise AssertionError("it has no answer")

    def advance(
        self, tokens: Sequence[int], logits: NDArray[np.float32], seconds: float, hidden: NDArray[np.float32]
    ) -> None:
        if not self._whole:
            self.held.appended(tokens)
        self._out[self._done : self._done + len(tokens)] = logits
        self._done += len(tokens)
        if self._done == len(self._tokens):
            self._end()

    def judge(self, worth: Worth) -> None:
        """Nothing is guessed here."""

    def cancel(self) -> None:
        self._end()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self.ended = True
        self.over.set()


def compute(scheduler: Scheduler, outputs: Outputs) -> None:
    """Have the rows computed, and wait for them; raises what forbade it."""
    scheduler.submit(outputs)
    try:
        outputs.over.wait()
    except BaseException:
        outputs.cancelled = True
        scheduler.wake()
        raise
    if outputs.error is not None:
        raise outputs.error
