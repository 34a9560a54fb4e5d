"""A cache together with the tokens that it holds, so that what was computed once is found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from furet.engine.backend import Backend, Cache


class Session:
    """One sequence. Its cache is the truth: tokens count as held only once a step has put them there.

    So a step that fails, or an interrupt that falls between two lines, leaves nothing to repair.
    """

    def __init__(self, backend: Backend, steps: Lock, capacity: int) -> None:
        self._backend = backend
        self._steps = steps  # a backend runs one step at a time
        self._capacity = capacity
        self._cache: Cache = backend.new_cache(capacity)
        self._tokens: list[int] = []
        self._source: list[int] | None = None  # what its encoder has read

    @property
    def tokens(self) -> list[int]:
        """The tokens held."""
        return self._tokens[: self._cache.length]

    @property
    def room(self) -> int:
        """Tokens that one step may append with the logits of each."""
        return min(self._backend.max_rows, self._capacity - self._cache.length)

    @property
    def recurrent(self) -> bool:
        """Whether tokens can only be forgotten all together."""
        return self._cache.recurrent

    def common(self, tokens: Sequence[int]) -> int:
        """How many tokens from the first on are the same here."""
        held = min(self._cache.length, len(tokens))
        if self._tokens[:held] == list(tokens[:held]):
            return held
        return next(i for i in range(held) if self._tokens[i] != tokens[i])

    def truncate(self, length: int) -> int:
        """Forget the tokens from `length` on, or all where a state cannot be cut; returns how many are left."""
        cut = length < self._cache.length
        self._cache.truncate(0 if cut and self._cache.recurrent else length)
        return self._cache.length

    def extend(self, tokens: Sequence[int], out: NDArray[np.float32]) -> None:
        """Append the tokens of one step; logits of the last R into out. [T] -> [R, V]"""
        with self._steps:
            self._tokens[self._cache.length :] = tokens
            self._backend.step(tokens, self._cache, len(tokens) - len(out), out)

    def fill(
        self,
        tokens: Sequence[int],
        out: NDArray[np.float32],
        between: Callable[[int], bool] = lambda done: True,
        source: list[int] | None = None,
    ) -> bool:
        """Make these the tokens held, in steps, keeping what is there; logits of the last into out [1, V].

        between     called before each step with the tokens held so far; False gives up
        source      the text that they are an answer to, for a model with an encoder
        returns     whether it came to the end
        """
        if source is not None:
            self.read(source)
        # The last token is computed again even when it is held: its logits were not kept.
        start = self.truncate(min(self.common(tokens), len(tokens) - 1))
        for at in range(start, len(tokens), self._backend.max_tokens):
            if not between(at):
                return False
            part = tokens[at : at + self._backend.max_tokens]
            self.extend(part, out if at + len(part) == len(tokens) else out[:0])
        return True

    def read(self, source: list[int]) -> None:
        """Have the encoder read a text, unless it is what it has read last."""
        if source != self._source:
            with self._steps:
                self._source = None
                self._backend.read(source, self._cache)
                self._source = list(source)

    def fill_all(
        self, tokens: Sequence[int], out: NDArray[np.float32], source: list[int] | None = None
    ) -> None:
        """Make these the tokens held and write the logits of every one. [T] -> [T, V]"""
        if source is not None:
            self.read(source)
        self.truncate(0)
        size = min(self._backend.max_tokens, self._backend.max_rows)
        for at in range(0, len(tokens), size):
            self.extend(tokens[at : at + size], out[at : at + size])


def extend_together(sessions: Sequence[Session], tokens: Sequence[int], out: NDArray[np.float32]) -> None:
    """Append one token to each of several sessions of a model in one step; logits of each into out. [B] -> [B, V]

    The same bits as one after the other, in less time: the weights are read once for all of them.
    """
    first = sessions[0]
    with first._steps:
        for session, token in zip(sessions, tokens, strict=True):
            session._tokens[session._cache.length :] = [token]
        runs = [([token], session._cache) for session, token in zip(sessions, tokens, strict=True)]
        first._backend.step_together(runs, out)
