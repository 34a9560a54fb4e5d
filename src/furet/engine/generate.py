"""The life of an answer: fill a session with the prompt; then choose, show and feed back token by token."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from furet.engine.ahead import MOST, Guesses
from furet.engine.answer import Piece
from furet.engine.leases import Lease, Leases
from furet.engine.request import Request
from furet.engine.stream import Draft
from furet.errors import BadRequest
from furet.sample.chain import Chooser
from furet.sample.logprobs import token_logprob
from furet.sample.stop import StopStrings

if TYPE_CHECKING:
    from furet.text.detokenizer import Detokenizer

Progress = Callable[[int, int], None]
"""Called with tokens of the prompt done and in all, before each step of a prefill and after the last."""


class Runner(Protocol):
    """What generation needs of a model."""

    leases: Leases
    vocab: int

    def check(self) -> None:
        """Raise what forbids the next step: the model was closed, or its file was changed."""

    def check_logits(self, logits: NDArray[np.float32]) -> None:
        """Raise ModelFileError for logits that are no numbers."""


@dataclass(frozen=True)
class Task:
    """One answer to be made.

    chooser chooses its tokens
    limit   tokens that it may have at most
    ends    tokens that end it
    source  the text that is answered, for a model with an encoder; the prompt is then what an answer begins with
    """

    prompt: list[int]
    request: Request
    chooser: Chooser
    limit: int
    ends: frozenset[int]
    progress: Progress | None = None
    source: list[int] | None = None


def generate(
    model: Runner, task: Task, detokenizer: Detokenizer, draft: Draft
) -> Generator[Piece, None, None]:
    """The pieces of an answer; what else there is to know about it goes into the draft."""
    request, tokens = task.request, list(task.prompt)
    stops = StopStrings(request.stops)
    turn = _Turn(model, draft, task.progress, task.source, request.speculate)
    try:
        if not turn.start(tokens):
            return
        for index in range(task.limit):
            model.check_logits(turn.logits)
            token = task.chooser.choose(turn.logits, tokens, index)
            if token in task.ends:
                draft.finish_reason = "stop"
                break
            wanted = request.logprobs
            logprob = None if wanted is None else token_logprob(turn.logits, token, wanted)
            text = stops.push(detokenizer.push(token))
            complete = task.chooser.finished
            if (complete or index + 1 == task.limit) and not stops.found:
                text += stops.push(detokenizer.flush())
            if stops.found or complete or index + 1 == task.limit:
                draft.finish_reason = "stop" if stops.found or complete else "length"
                draft.stop = stops.stop
                turn.end()
                yield draft.add(Piece(text + stops.flush(), token, logprob))
                return
            tokens.append(token)
            turn.rest()
            yield draft.add(Piece(text, token, logprob))
            if not turn.go_on(tokens):
                break
        turn.end()
        if text := stops.push(detokenizer.flush()) + stops.flush():
            yield draft.add(Piece(text))
    finally:
        turn.end()


class _Turn:
    """A request's work on sessions: the logits that follow its tokens, and the time that they took."""

    def __init__(
        self, model: Runner, draft: Draft, progress: Progress | None, source: list[int] | None, speculate: bool
    ) -> None:
        self._model = model
        self._draft = draft
        self._progress = progress
        self._source = source
        self._lease: Lease | None = None
        self._rows = np.empty((1 + MOST, model.vocab), dtype=np.float32)
        self.logits: NDArray[np.float32] = self._rows[0]
        self._guesses = Guesses(speculate)

    def start(self, prompt: list[int]) -> bool:
        """Compute the prompt, or what a session does not hold of it; False when cancelled."""
        return self._fill(prompt, prefill=True)

    def go_on(self, tokens: list[int]) -> bool:
        """Compute the last of the tokens; False when cancelled."""
        if not self._wanted():
            return False
        assert self._lease is not None
        held = self._model.leases.resume(self._lease)
        if self._guesses.next_is(tokens[-1]):
            self.logits = self._rows[self._guesses.right]
            self._count_decode(0.0, guessed=1)
            return True
        session = self._lease.session
        if not held or session is None:
            return self._fill(tokens, prefill=False)
        session.truncate(len(tokens) - 1)  # without what was guessed wrongly
        new = [tokens[-1], *self._guesses.make(tokens, session.room - 1)]
        began = perf_counter()
        session.extend(new, self._rows[: len(new)])
        self.logits = self._rows[0]
        self._guesses.took(perf_counter() - began)
        self._count_decode(perf_counter() - began)
        return True

    def rest(self) -> None:
        """The reader has the word."""
        assert self._lease is not None
        self._model.leases.rest(self._lease)

    def end(self) -> None:
        """Give the session to others; harmless when done already."""
        if self._lease is not None:
            self._model.leases.give_back(self._lease)
            self._lease = None

    def _fill(self, tokens: list[int], *, prefill: bool) -> bool:
        self.end()
        self._guesses.forget()
        self._lease = self._model.leases.take(tokens, self._wanted)
        if self._lease is None:
            return False
        assert self._lease.session is not None
        held = min(self._lease.session.common(tokens), len(tokens) - 1)
        began = perf_counter()
        between = self._between(self._lease, len(tokens))
        self.logits = self._rows[0]
        if not self._lease.session.fill(tokens, self._rows[:1], between, self._source):
            return False
        self._guesses.allowed = not self._lease.session.recurrent
        took = perf_counter() - began
        if not prefill:
            self._count_decode(took)
            return True
        self._draft.timings = replace(
            self._draft.timings,
            prefill_tokens=len(tokens) - held + len(self._source or ()),
            cached_tokens=held,
            prefill_seconds=took,
        )
        if self._progress is not None:
            self._progress(len(tokens), len(tokens))
        return True

    def _between(self, lease: Lease, total: int) -> Callable[[int], bool]:
        def go_on(done: int) -> bool:
            if self._progress is not None:
                self._progress(done, total)
            if lease.session is None:
                raise BadRequest("progress: the model was asked for something else while it read this prompt")
            return self._wanted()

        return go_on

    def _wanted(self) -> bool:
        self._model.check()
        return not self._draft.cancelled

    def _count_decode(self, seconds: float, guessed: int = 0) -> None:
        timings = self._draft.timings
        self._draft.timings = replace(
            timings,
            decode_tokens=timings.decode_tokens + 1,
            decode_seconds=timings.decode_seconds + seconds,
            guessed_tokens=timings.guessed_tokens + guessed,
        )
