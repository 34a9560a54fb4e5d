"""What the scheduler computes for: a request seen as tokens that go in and logits that come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from furet.engine.ahead import Worth
from furet.engine.held import Caches, Held


class Work(Protocol):
    """One request; its reader may be on another thread.

    served      the number of the last step in which it had a share
    ended       nothing is to be computed for it any more
    sees        wants to see what its logits are made of
    """

    served: int
    ended: bool
    sees: bool

    @property
    def tokens(self) -> Sequence[int]:
        """Those that it is to hold, if it can use what others have computed of them; otherwise none."""

    @property
    def held(self) -> Held:
        """Where it computes, between `open` and `close`."""

    @property
    def reading(self) -> bool:
        """Whether tokens of its prompt are to be computed."""

    @property
    def wholly(self) -> bool:
        """Whether it wants the logits of every token that is read."""

    @property
    def answering(self) -> bool:
        """Whether the last token of its answer is to be computed."""

    @property
    def resting(self) -> bool:
        """Whether it waits for its reader."""

    @property
    def cancelled(self) -> bool:
        """Whether its reader wants no more."""

    def open(self, caches: Caches) -> bool:
        """Get a place to compute in; False when there is none now."""

    def close(self) -> None:
        """Let go of the place; harmless when done already."""

    def prompt_share(self, tokens: int, rows: int) -> tuple[list[int], int]:
        """Tokens to be read next, at most so many, and how many rows of logits these want; none: not in this step."""

    def answer_share(self, guesses: int) -> list[int]:
        """The last token, and at most so many guesses of what follows."""

    def advance(
        self, tokens: Sequence[int], logits: NDArray[np.float32], seconds: float, hidden: NDArray[np.float32]
    ) -> None:
        """A step has computed these tokens and the rows that they wanted. [R, V]

        seconds it took so many, with what held it up
        hidden  what these rows were made of, if it is wanted. [R, C]
        """

    def judge(self, worth: Worth) -> None:
        """That step had guesses, of this one or of others."""

    def cancel(self) -> None:
        """It ends here."""

    def fail(self, error: Exception) -> None:
        """It cannot go on."""
