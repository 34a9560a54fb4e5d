"""Whole chats written at once, as imports bring them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from furet.chat.store import chats, checks
from furet.chat.store.messages import write
from furet.chat.store.records import Chat, ChatFields, Message, Role
from furet.errors import BadRequest


@dataclass(frozen=True)
class ChatTree:
    """A chat with all its messages.

    model       as in `Chat`
    fields      of the chat
    messages    parents before children; ids are any texts that differ, and `chat` counts for nothing
    leaf        id of the message that the chat has come to; None: the last one
    created, updated    seconds since 1970
    origin      what errors begin with: where it was read
    """

    model: str | None
    fields: ChatFields
    messages: Sequence[Message]
    leaf: str | None
    created: float
    updated: float
    origin: str = "chat"


def insert(db: sqlite3.Connection, trees: Iterable[ChatTree]) -> tuple[Chat, ...]:
    """Write chats under new ids. BadRequest for a message whose parent does not stand before it."""
    return tuple(_named(db, tree) for tree in trees)


def _named(db: sqlite3.Connection, tree: ChatTree) -> Chat:
    try:
        return _insert(db, tree)
    except BadRequest as error:
        raise BadRequest(f"{tree.origin}: {error.message}", error.hint) from None


def _insert(db: sqlite3.Connection, tree: ChatTree) -> Chat:
    chat = chats.create(db, tree.model, tree.fields, created=tree.created, updated=tree.updated)
    key = chats.key_of(db, chat.id)
    keys: dict[str, int] = {}
    for message in tree.messages:
        if message.id in keys:
            raise BadRequest(f"message {message.id!r:.60}: there are two of this id")
        if message.parent is not None and message.parent not in keys:
            raise BadRequest(f"message {message.id!r:.60}: its parent {message.parent!r:.60} does not stand before it")
        above = None if message.parent is None else keys[message.parent]
        checks.choice("role", message.role, Role)
        checks.ended(message.state, message.error)
        keys[message.id] = write(db, key, above, replace(message, id=chats.new_id()))
    if tree.leaf is not None and tree.leaf not in keys:
        raise BadRequest(f"leaf: there is no message {tree.leaf!r:.60}")
    leaf = keys[tree.leaf] if tree.leaf is not None else max(keys.values(), default=None)
    db.execute("UPDATE chats SET leaf = ? WHERE key = ?", (leaf, key))
    return chats.read_key(db, key)
