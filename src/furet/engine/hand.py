"""Sequences in the hands of an algorithm that needs several: beams, a prompt beside another one, candidates.

The algorithm runs on its reader's thread. It gives a hand tokens, waits for the logits that follow them, and meanwhile
the hand is a request among others: it shares their steps, and what it holds may be taken from it while it rests. It
keeps its tokens, so that it can compute them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from furet.engine.answer import Timings

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from furet.engine.ahead import Worth
    from furet.engine.generate import Progress
    from furet.engine.held import Caches, Held
    from furet.engine.scheduler import Scheduler
    from furet.engine.stream import Draft


Sees = Callable[[int, NDArray[np.float32]], None]
"""Called between steps with the place of a token, and what its logits and those of the next ones are made of. [R, C]"""


class Hand:
    """One sequence; see `furet.engine.work.Work`. Its owner touches it only while it rests.

    tokens  of the sequence; whoever owns it appends to them
    logits  that follow the last of them, once they were computed. [V]
    source  the text that they are an answer to, for a model with an encoder
    cached  tokens that were held already when it was opened first
    done    tokens computed, in `seconds`
    seen    what the logits of the last of them are made of, if it is wanted. [C]
    """

    def __init__(
        self,
        tokens: Sequence[int],
        vocab: int,
        gone: Callable[[], bool],
        source: list[int] | None = None,
        like: Hand | None = None,
        sees: Sees | None = None,
    ) -> None:
        self.served: int = 0 if like is None else like.served
        self.ended = False
        self.error: Exception | None = None
        self.tokens = list(tokens)
        self.logits: NDArray[np.float32] = np.empty(vocab, dtype=np.float32)
        self.cached = 0
        self.done = 0
        self.seconds = 0.0
        self.source = source
        self.sees = sees is not None
        self.seen: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._sees = sees  # until it was given all
        self._gone = gone
        self._like = like
        self._dropped = False
        self._held: Held | None = None
        self._wanted = False
        self._ready = Event()

    @property
    def held(self) -> Held:
        assert self._held is not None, "a request that runs holds a cache"
        return self._held

    @property
    def reading(self) -> bool:
        return self._wanted and self._held is not None and len(self.tokens) - self._held.length > 1

    @property
    def wholly(self) -> bool:
        return self._sees is not None

    @property
    def answering(self) -> bool:
        return self._wanted and self._held is not None and len(self.tokens) - self._held.length == 1

    @property
    def resting(self) -> bool:
        return not self._wanted

    @property
    def cancelled(self) -> bool:
        return self._dropped or self._gone()

    def open(self, caches: Caches) -> bool:
        like = None if self._like is None else self._like._held
        self._held = caches.open(self.tokens, self.source, like=like, fresh=self.wholly)
        if self._held is None:
            return False
        self._like = None
        if not self.done:
            self.cached = self._held.length
        return True

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def prompt_share(self, tokens: int, rows: int) -> tuple[list[int], int]:
        at = self.held.length
        if self.wholly:
            part = self.tokens[at : at + min(tokens, rows)]
            return part, len(part)
        return self.tokens[at : at + tokens], int(at + tokens >= len(self.tokens))

    def answer_share(self, guesses: int) -> list[int]:
        return self.tokens[-1:]

    def advance(
        self, tokens: Sequence[int], logits: NDArray[np.float32], seconds: float, hidden: NDArray[np.float32]
    ) -> None:
        self.done += len(tokens)
        self.seconds += seconds
        self.held.appended(tokens)
        self.held.share()
        if self._sees is not None:
            self._sees(self.held.length - len(tokens), hidden)
        if self.sees and len(hidden):
            self.seen = hidden[-1].copy()
        if len(logits) and self.held.length == len(self.tokens):
            self._sees = None
            self.logits[:] = logits[-1]
            self._wanted = False
            self._ready.set()

    def judge(self, worth: Worth) -> None:
        """Nothing is guessed here."""

    def cancel(self) -> None:
        self._end()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._end()

    def want(self) -> None:
        """Ask for the logits."""
        self._ready.clear()
        self._wanted = True
        if self.ended:  # perhaps while it rested
            self._end()

    def wait(self) -> None:
        """Until they are there; raises what forbids it."""
        self._ready.wait()
        if self.error is not None:
            raise self.error

    def drop(self) -> None:
        """Have it ended before the next step."""
        self._dropped = True

    def _end(self) -> None:
        self.ended = True
        self._wanted = False
        self._ready.set()


class Hands:
    """All that one algorithm holds; leaving the `with` lets go of them.

    vocab       V, the width of a row of logits
    progress    as of `Task`
    timings     of the answer: what came first was the prompt, then every `compute` is for one token
    """

    def __init__(self, scheduler: Scheduler, draft: Draft, vocab: int, progress: Progress | None = None) -> None:
        self.timings = Timings()
        self._scheduler = scheduler
        self._draft = draft
        self._vocab = vocab
        self._progress = progress
        self._open: list[Hand] = []  # known to the scheduler
        draft.woken = scheduler.wake

    def take(self, tokens: Sequence[int], source: list[int] | None = None, *, sees: Sees | None = None) -> Hand:
        """A hand on these tokens.

        source  the text that they are an answer to, for a model with an encoder
        sees    is given what the logits of each are made of
        """
        return Hand(tokens, self._vocab, lambda: self._draft.cancelled, source, sees=sees)

    def fork(self, hand: Hand) -> Hand:
        """Another one on the same tokens: blocks are shared, but for the last one, which is copied."""
        fork = Hand(hand.tokens, self._vocab, lambda: self._draft.cancelled, hand.source, like=hand)
        fork.sees = hand.sees
        return fork

    def compute(self, hands: Sequence[Hand]) -> bool:
        """Have the logits that follow the tokens of each; False when the reader wants no more.

        They are asked for at once, so that they share steps. Raises what forbids it.
        """
        first, total = not self._open, sum(len(hand.tokens) for hand in hands)
        if first and self._progress is not None:
            self._progress(0, total)
        before = [hand.seconds for hand in hands]
        for hand in hands:
            hand.want()
        for hand in hands:
            if hand not in self._open:
                self._open.append(hand)
                self._scheduler.submit(hand, first=not first)
        self._scheduler.wake()
        for hand in hands:
            hand.wait()
        self._count(hands, max(hand.seconds - was for hand, was in zip(hands, before, strict=True)), first)
        if first and self._progress is not None:
            self._progress(total, total)
        return not any(hand.ended for hand in hands)

    def drop(self, hands: Iterable[Hand]) -> None:
        """Let go of some."""
        gone = list(hands)
        for hand in gone:
            hand.drop()
        self._open = [hand for hand in self._open if hand not in gone]
        self._scheduler.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.drop(self._open)

    def _count(self, hands: Sequence[Hand], seconds: float, first: bool) -> None:
        t = self.timings
        if first:
            done = sum(hand.done + len(hand.source or ()) for hand in hands)
            self.timings = Timings(done, sum(hand.cached for hand in hands), seconds)
        else:
            self.timings = replace(t, decode_tokens=t.decode_tokens + 1, decode_seconds=t.decode_seconds + seconds)
