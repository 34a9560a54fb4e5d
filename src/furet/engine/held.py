"""What a request holds while it computes: a cache, and the tokens that are in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from furet.engine.backend import Cache


class Held(Protocol):
    """One sequence in the making. The cache is the truth: tokens count as held once a step has put them there."""

    @property
    def cache(self) -> Cache: ...

    @property
    def length(self) -> int:
        """Tokens held."""

    @property
    def blocks(self) -> Sequence[int]:
        """The blocks in which they are; none where the cache has room of its own."""

    @property
    def room(self) -> int:
        """Tokens that the context still has room for."""

    def reserve(self, count: int) -> bool:
        """Have room for so many more tokens; False when there is none now."""

    def appended(self, tokens: Sequence[int]) -> None:
        """A step has put these tokens into the cache."""

    def truncate(self, length: int) -> None:
        """Forget the tokens from `length` on, or all where a state cannot be cut."""

    def share(self) -> None:
        """All tokens held are certain: let others find them."""

    def close(self) -> None:
        """Let go of it; what it holds may be found again. Harmless when done already."""


class Caches(Protocol):
    """Where requests get what they hold. Not for several threads."""

    def open(
        self,
        tokens: Sequence[int],
        source: Sequence[int] | None = None,
        *,
        fresh: bool = False,
        like: Held | None = None,
    ) -> Held | None:
        """A place for these tokens that holds as many of them as are known, short of the last; None: no room now.

        source  what an encoder has read, or is to read, before them
        fresh   hold none
        like    an open one that may hold a beginning of them which none can find yet
        """
