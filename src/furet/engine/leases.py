"""Who computes with which session: requests take turns, first come first served.

A request keeps its session between tokens, so that nothing is computed twice. But a stream that nobody reads
must not lock the model for ever: a session at rest is taken from it, at once by the thread that left it,
after PATIENCE seconds by another. The stream notices when it goes on, takes its turn again and computes its
tokens anew; the answer is the same, only later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, get_ident
from time import monotonic

from furet.engine.session import Session

PATIENCE = 1.0  # seconds
POLL = 0.05  # seconds between looks at whether a waiting request was cancelled


class Lease:
    """A request's hold on a session; `session` is None once it was given back or taken away."""

    def __init__(self, session: Session) -> None:
        self.session: Session | None = session
        self.thread = get_ident()
        self.resting_since: float | None = None


class Leases:
    """The sessions of a model and who holds them; safe from any thread."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._changed = Condition()
        self._free = list(sessions)
        self._held: list[Lease] = []
        self._queue: deque[object] = deque()

    def take(self, tokens: Sequence[int], wanted: Callable[[], bool] = lambda: True) -> Lease | None:
        """Wait for a session, if possible one that holds the beginning; None when `wanted` turns false."""
        ticket = object()
        with self._changed:
            try:
                self._queue.append(ticket)
                while wanted():
                    if self._queue[0] is ticket and (lease := self._lease(tokens)):
                        return lease
                    self._changed.wait(POLL)
                return None
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def rest(self, lease: Lease) -> None:
        """The holder waits for its reader."""
        lease.resting_since = monotonic()

    def resume(self, lease: Lease) -> bool:
        """The holder goes on; False when its session was taken away."""
        with self._changed:
            lease.resting_since = None
            lease.thread = get_ident()
            return lease.session is not None

    def give_back(self, lease: Lease) -> None:
        """The holder is done; harmless when its session was taken away."""
        with self._changed:
            self._release(lease)
            self._changed.notify_all()

    def clear(self) -> None:
        """Take all sessions away for good."""
        with self._changed:
            for lease in list(self._held):
                self._release(lease)
            self._free.clear()
            self._changed.notify_all()

    def _lease(self, tokens: Sequence[int]) -> Lease | None:
        if not self._free:
            self._take_from_sleeper()
        if not self._free:
            return None
        session = max(self._free, key=lambda each: each.common(tokens))
        self._free.remove(session)
        lease = Lease(session)
        self._held.append(lease)
        return lease

    def _take_from_sleeper(self) -> None:
        me, now = get_ident(), monotonic()
        for lease in self._held:
            since = lease.resting_since
            # A thread that stands here computes with no other session, whatever an interrupt has left behind.
            if lease.thread == me or (since is not None and now - since > PATIENCE):
                self._release(lease)
                return

    def _release(self, lease: Lease) -> None:
        if lease.session is not None:
            self._free.append(lease.session)
            self._held.remove(lease)
            lease.session = None
