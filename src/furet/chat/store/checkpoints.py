"""An answer written down while it is made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.chat.store.store import Store

SECONDS = 0.5
PIECES = 64


class Checkpoints:
    """Gathers the pieces of an answer and appends them to its message twice a second, or every 64 of them.

        checkpoints = Checkpoints(store, message.id)
        for piece in answer:
            checkpoints.add(piece)
        store.finish(message.id, checkpoints.rest())

    So a process that is killed loses what it made in half a second, and the disk is not asked for every token.
    """

    def __init__(self, store: Store, message: str) -> None:
        self._store = store
        self._message = message
        self._pieces: list[str] = []
        self._written = time.monotonic()

    def add(self, text: str) -> bool:
        """Take a piece; whether it was time to write, which waits for the disk."""
        self._pieces.append(text)
        if len(self._pieces) < PIECES and time.monotonic() - self._written < SECONDS:
            return False
        self._store.append(self._message, self.rest())
        return True

    def rest(self) -> str:
        """What was not written yet, and is not kept here any longer."""
        text = "".join(self._pieces)
        self._pieces.clear()
        self._written = time.monotonic()
        return text
