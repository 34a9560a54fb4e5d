"""What a model's process knows of conversations in the store: taken up with the first answer, put away at rest."""

from __future__ import annotations

from threading import Lock, Timer
from typing import TYPE_CHECKING

from furet.chat.kept import put_away, take_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from furet.chat.model import Model

REST = 20.0  # seconds after its last answer in which a conversation may go on; writing it takes about one
MOST = 64  # conversations that wait to be written

_changes = Lock()
_known: set[str] = set()  # conversations that this process need not take up
_waiting: dict[str, Timer] = {}


def begins(model: Model, chat: str) -> None:
    """An answer of this conversation is wanted: take up what was kept of it, the first time."""
    with _changes:
        first = chat not in _known
        _known.add(chat)
        timer = _waiting.pop(chat, None)
    if timer is not None:
        timer.cancel()
    if first:
        take_up(model, chat)


def ended(model: Model, chat: str, tokens: Sequence[int]) -> None:
    """It has ended; keep what the model knows of these tokens, unless the conversation goes on soon."""

    def write() -> None:
        with _changes:
            _waiting.pop(chat, None)
        put_away(model, chat, tokens, expected=True)

    timer = Timer(REST, write)
    timer.daemon = True
    with _changes:
        if chat in _waiting or len(_waiting) >= MOST:
            return
        _waiting[chat] = timer
    timer.start()
