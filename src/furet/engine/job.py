"""An answer on its way: computed on the scheduler's thread, read on another."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from furet.engine.answer import FinishReason, Piece, Timings
from furet.engine.generate import Generation, Task

if TYPE_CHECKING:
    from furet.engine.ahead import Worth
    from furet.engine.held import Caches, Held
    from furet.engine.scheduler import Scheduler
    from furet.engine.stream import Draft
    from furet.text.detokenizer import Detokenizer

LEAD = 16  # pieces that an answer may be ahead of its reader
RESUME = 8  # and those at which it goes on


class Read(NamedTuple):
    """Tokens of the prompt that are done, and all."""

    done: int
    total: int


class End(NamedTuple):
    """How an answer ended."""

    reason: FinishReason
    stop: str | None = None
    error: Exception | None = None


class Job:
    """One answer; see `furet.engine.work.Work`."""

    sees = wholly = False

    def __init__(self, task: Task, detokenizer: Detokenizer, draft: Draft) -> None:
        self.served = 0
        self.ended = False
        self.timings = Timings()
        self.outbox: SimpleQueue[Read | tuple[Piece | None, Timings] | End] = SimpleQueue()
        self._task = task
        self._generation = Generation(task, detokenizer)
        self._draft = draft
        self._held: Held | None = None
        self._reading = False
        self._timings_begun = False  # what is held when it comes again was computed for it

    @property
    def tokens(self) -> Sequence[int]:
        return self._generation.tokens

    @property
    def held(self) -> Held:
        assert self._held is not None, "a request that runs holds a cache"
        return self._held

    @property
    def reading(self) -> bool:
        return self._reading

    @property
    def answering(self) -> bool:
        return not self._reading and not self.resting

    @property
    def resting(self) -> bool:
        return not self._reading and self.outbox.qsize() >= LEAD

    @property
    def cancelled(self) -> bool:
        return self._draft.cancelled

    def open(self, caches: Caches) -> bool:
        self._held = caches.open(self._generation.tokens, self._task.source)
        if self._held is None:
            return False
        self._reading = True
        if self._in_prompt and not self._timings_begun:
            self._timings_begun = True
            read = len(self._task.source or ())
            self.timings = replace(self.timings, prefill_tokens=read, cached_tokens=self._held.length)
        return True

    def close(self) -> None:
        self._reading = False
        self._generation.guesses.close()
        if self._held is not None:
            self._held.close()
            self._held = None

    def prompt_share(self, tokens: int, rows: int) -> tuple[list[int], int]:
        known, at = self._generation.tokens, self.held.length
        if self._task.progress is not None and self._in_prompt:
            self.outbox.put(Read(at, len(known)))
        return known[at : at + tokens], int(at + tokens >= len(known))

    def answer_share(self, guesses: int) -> list[int]:
        most = 0 if self.held.cache.recurrent else min(guesses, self.held.room - 1)  # a state cannot be taken back
        return [self._generation.tokens[-1], *self._generation.guess(most)]

    def advance(
        self, tokens: Sequence[int], logits: NDArray[np.float32], seconds: float, hidden: NDArray[np.float32]
    ) -> None:
        self.held.appended(tokens)
        first = self._in_prompt
        self._count(len(tokens), seconds if self._reading else seconds + self._generation.guesses.took)
        if len(logits):
            if first and self._task.progress is not None:
                self.outbox.put(Read(self.held.length, self.held.length))
            self._choose(logits, tokens, first)
            if not self._reading:
                self._take_back(len(tokens) - 1)
            self._reading = False
        self.held.share()
        if self._generation.reason is not None:
            self._end(End(self._generation.reason, self._generation.stop))

    def judge(self, worth: Worth) -> None:
        self._generation.guesses.judge(worth)

    def _take_back(self, guessed: int) -> None:
        """Forget what was guessed wrongly."""
        if wrong := guessed - self._generation.guesses.right:
            self.held.truncate(self.held.length - wrong)

    def cancel(self) -> None:
        self._end(End("cancelled"))

    def fail(self, error: Exception) -> None:
        self._end(End("cancelled", None, error))

    @property
    def _in_prompt(self) -> bool:
        """Whether there is no token of the answer yet."""
        return len(self._generation.tokens) == len(self._task.prompt)

    def _choose(self, logits: NDArray[np.float32], tokens: Sequence[int], first: bool) -> None:
        for place, piece in enumerate(self._generation.advance(logits)):
            if not first:
                decoded, guessed = self.timings.decode_tokens + 1, self.timings.guessed_tokens + int(place > 0)
                self.timings = replace(self.timings, decode_tokens=decoded, guessed_tokens=guessed)
            self.outbox.put((piece, self.timings))

    def _count(self, tokens: int, seconds: float) -> None:
        t = self.timings
        if self._in_prompt:
            done, took = t.prefill_tokens + tokens, t.prefill_seconds + seconds
            self.timings = replace(t, prefill_tokens=done, prefill_seconds=took)
        else:
            self.timings = replace(t, decode_seconds=t.decode_seconds + seconds)

    def _end(self, end: End) -> None:
        self.ended = True
        self.outbox.put(end)


def pieces(scheduler: Scheduler, job: Job, task: Task, draft: Draft) -> Generator[Piece, None, None]:
    """The pieces of an answer as they are made; what else there is to know about it goes into the draft."""
    try:
        scheduler.submit(job)
        draft.woken = scheduler.wake
        if draft.cancelled:
            scheduler.wake()
        while True:
            item = job.outbox.get()
            if job.outbox.qsize() == RESUME:
                scheduler.wake()
            if isinstance(item, End):
                if item.error is not None:
                    raise item.error
                draft.finish_reason, draft.stop = item.reason, item.stop
                return
            if draft.cancelled:
                return
            if isinstance(item, Read):
                assert task.progress is not None
                task.progress(item.done, item.total)
                continue
            piece, draft.timings = item
            if piece is not None:
                yield draft.add(piece)
    finally:
        if not job.ended:
            draft.cancel()
