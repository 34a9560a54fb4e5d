"""Sequences that each have a cache of their own from first to last: of models with a state, which cannot be cut into
blocks, or with an encoder, and of the reference interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from furet.engine.backend import Backend, Cache
from furet.engine.prefixes import common

if TYPE_CHECKING:
    from furet.engine.held import Held


class Whole:
    """One of these caches, with what it holds."""

    blocks: Sequence[int] = ()

    def __init__(self, backend: Backend, capacity: int) -> None:
        self._backend = backend
        self._capacity = capacity
        self.cache: Cache = backend.new_cache(capacity)
        self.busy = False
        self._tokens: list[int] = []
        self._source: list[int] | None = None  # what its encoder has read

    @property
    def length(self) -> int:
        return self.cache.length

    def common(self, tokens: Sequence[int]) -> int:
        """How many tokens from the first on are the same here."""
        return common(self._tokens[: self.length], tokens)

    @property
    def room(self) -> int:
        return self._capacity - self.length

    def begin(self, tokens: Sequence[int], source: Sequence[int] | None, fresh: bool) -> None:
        """Forget what a new request does not begin with; an encoder reads what it is to answer."""
        if source is not None and self._source != list(source):
            self._source = None
            self._backend.read(source, self.cache)
            self._source = list(source)
        # The last token is always computed: its logits were not kept.
        self.truncate(0 if fresh else min(self.common(tokens), len(tokens) - 1))
        self.busy = True

    def reserve(self, count: int) -> bool:
        return count <= self.room

    def appended(self, tokens: Sequence[int]) -> None:
        self._tokens[self.length - len(tokens) :] = tokens

    def truncate(self, length: int) -> None:
        cut = length < self.length
        self.cache.truncate(0 if cut and self.cache.recurrent else length)

    def share(self) -> None:
        pass

    def close(self) -> None:
        self.busy = False


class WholeCaches:
    """So many caches for sequences of up to `capacity` tokens, all alike."""

    def __init__(self, backend: Backend, capacity: int, count: int) -> None:
        self._all = [Whole(backend, capacity) for _ in range(count)]

    def open(
        self,
        tokens: Sequence[int],
        source: Sequence[int] | None = None,
        *,
        fresh: bool = False,
        like: Held | None = None,
    ) -> Whole | None:
        free = [each for each in self._all if not each.busy]
        if not free:
            return None
        held = max(free, key=lambda each: each.common(tokens))
        self._all.remove(held)
        self._all.append(held)  # of caches that serve alike, the one that was not used for longest comes first
        held.begin(tokens, source, fresh)
        return held
